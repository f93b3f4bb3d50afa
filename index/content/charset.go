package content

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
	"golang.org/x/text/encoding/charmap"
)

// charsetName returns the name of a charset as decode knows it: lower case, and one name
// for those that need no conversion.
func charsetName(name string) string {
	name = strings.ToLower(strings.Trim(name, " \t\"'"))
	switch name {
	case "ascii", "us-ascii", "usascii", "ansi_x3.4-1968", "646", "default", "none", "unknown-8bit", "x-unknown", "unknown":
		return ""
	case "utf-8", "utf8", "unicode-1-1-utf-8", "utf_8":
		return "utf-8"
	case "unicode-1-1-utf-7", "utf7", "csutf7":
		return "utf-7"
	case "cp932", "ms932", "windows-932", "x-sjis", "sjis":
		return "windows-31j"
	case "cp936", "ms936", "windows-936", "gb2312", "gb_2312-80", "euc-cn", "x-gbk":
		return "gbk"
	case "cp949", "ks_c_5601-1987", "ks_c_5601", "ksc5601", "windows-949":
		return "euc-kr"
	case "cp950", "big5-hkscs", "x-x-big5", "windows-950":
		return "big5"
	case "iso-2022-jp-1", "iso-2022-jp-2", "iso-2022-jp-3", "iso-2022-jp-ms", "cp50220", "cp50221":
		return "iso-2022-jp"
	case "iso-8859-1", "latin1", "latin-1", "iso8859-1", "iso_8859-1":
		return "windows-1252"
	}
	if number, ok := strings.CutPrefix(name, "cp"); ok && strings.HasPrefix(number, "125") {
		return "windows-" + number
	}
	if number, ok := strings.CutPrefix(name, "iso8859"); ok {
		return "iso-8859" + number
	}
	return name
}

// knownCharset reports whether a charset, by its charsetName, can be decoded.
func knownCharset(name string) bool {
	switch name {
	case "", "utf-8", "utf-7":
		return true
	}
	_, err := charset.Reader(name, nil)
	return err == nil
}

// charsetReader returns what r has in a charset, by its charsetName, as UTF-8. What is not
// of the charset is U+FFFD, or stays invalid UTF-8.
func charsetReader(name string, r io.Reader) (io.Reader, bool) {
	switch name {
	case "", "utf-8":
		return r, true
	case "utf-7":
		return &utf7Reader{r: r}, true
	}
	decoded, err := charset.Reader(name, r)
	if err != nil {
		return r, false
	}
	return decoded, true
}

// decodeCharset decodes a text. ok says that the charset is known and the text is of it.
func decodeCharset(name string, text []byte) (decoded string, ok bool) {
	name = charsetName(name)
	if name == "" {
		return guess(string(text))
	}
	r, known := charsetReader(name, bytes.NewReader(text))
	if !known {
		decoded, _ = guess(string(text))
		return decoded, false
	}
	all, err := io.ReadAll(r)
	decoded = strings.ToValidUTF8(string(all), "\uFFFD")
	return decoded, err == nil && (name == "utf-8" && utf8.Valid(all) || !strings.ContainsRune(decoded, utf8.RuneError))
}

// guess decodes a text that does not say its charset. ok says that it is certain.
func guess(text string) (decoded string, ok bool) {
	if strings.Contains(text, "\x1b$") && isASCII(text) {
		decoded, ok = decodeCharset("iso-2022-jp", []byte(text))
		if ok {
			return decoded, true
		}
	}
	if utf8.ValidString(text) {
		return text, true
	}
	decoded, err := charmap.Windows1252.NewDecoder().String(text)
	if err != nil {
		return strings.ToValidUTF8(text, "\uFFFD"), false
	}
	return decoded, false
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// utf7Reader decodes UTF-7 (RFC 2152).
type utf7Reader struct {
	r       io.Reader
	buf     [512]byte
	text    []byte // decoded
	left    []byte // of it, not read yet
	encoded bool   // in a run that + began
	empty   bool   // it has had nothing yet
	bits    uint32
	count   uint
	high    rune // the first half of a pair, or 0
}

// Read implements io.Reader.
func (u *utf7Reader) Read(p []byte) (int, error) {
	for len(u.left) == 0 {
		n, err := u.r.Read(u.buf[:])
		u.text = u.text[:0]
		for _, c := range u.buf[:n] {
			u.one(c)
		}
		if u.left = u.text; len(u.left) == 0 && err != nil {
			return 0, err
		}
	}
	n := copy(p, u.left)
	u.left = u.left[n:]
	return n, nil
}

func (u *utf7Reader) one(c byte) {
	if u.encoded {
		if value := base64Values[c]; value < base64Space {
			u.bits, u.count, u.empty = u.bits<<6|uint32(value), u.count+6, false
			if u.count >= 16 {
				u.count -= 16
				u.unit(rune(uint16(u.bits >> u.count)))
			}
			return
		}
		u.encoded = false
		if u.empty && c == '-' {
			u.text = append(u.text, '+')
		}
		if u.unit(0); c == '-' {
			return
		}
	}
	switch {
	case c == '+':
		u.encoded, u.empty, u.bits, u.count = true, true, 0, 0
	case c < utf8.RuneSelf:
		u.text = append(u.text, c)
	default:
		u.text = utf8.AppendRune(u.text, utf8.RuneError)
	}
}

// unit takes one unit of UTF-16; 0 ends a run.
func (u *utf7Reader) unit(r rune) {
	if u.high != 0 {
		pair := utf16.DecodeRune(u.high, r)
		u.text = utf8.AppendRune(u.text, pair)
		if u.high = 0; pair != utf8.RuneError {
			return
		}
	}
	switch {
	case r >= 0xd800 && r < 0xdc00:
		u.high = r
	case r != 0:
		u.text = utf8.AppendRune(u.text, r)
	}
}

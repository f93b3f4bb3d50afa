package content

import (
	"strings"

	"sluice/index"
)

// maxEncoded bounds what is decoded of a text, in bytes. A row keeps less of it.
const maxEncoded = 16 << 10

// decodeText decodes a text of a header field (RFC 2047), as real mailers write it: also
// without white space around encoded words, in quotes, with characters that are split
// between words, or without encoding. ok says that each charset is known and fits.
func decodeText(raw string) (text index.Text, ok bool) {
	if raw = cut(raw, maxEncoded); isASCII(raw) && !strings.Contains(raw, "=?") && !strings.Contains(raw, "\x1b") {
		return index.Text{Text: raw}, true
	}
	d := wordDecoder{ok: true}
	d.decode(raw)
	if text.Text = d.text.String(); text.Text != raw {
		text.Raw = raw
	}
	return text, d.ok
}

// wordDecoder decodes a text. It joins neighbouring words of one charset before it decodes
// them.
type wordDecoder struct {
	text    strings.Builder
	ok      bool
	charset string
	joined  []byte // of the words of charset that came last
	endless bool   // no word ends in what is left
}

func (d *wordDecoder) decode(s string) {
	// What is decoded ends at done. Words follow up to end, if there are any.
	for done, end, at := 0, 0, 0; ; {
		begin := strings.Index(s[at:], "=?")
		if begin < 0 {
			d.flush(s[done:end])
			d.plain(s[end:])
			return
		}
		begin += at
		w, ok := d.word(s[begin:])
		if !ok {
			at = begin + 1
			continue
		}
		apart := strings.Trim(s[end:begin], " \t") != ""
		if done == end || apart || !strings.EqualFold(w.charset, d.charset) {
			d.flush(s[done:end])
			if done == end || apart {
				d.plain(s[end:begin])
			}
			done = begin
		}
		d.charset = w.charset
		d.joined = append(d.joined, w.decoded...)
		end = begin + w.length
		at = end
	}
}

func (d *wordDecoder) plain(s string) {
	text, ok := guess(s)
	d.text.WriteString(text)
	d.ok = d.ok && ok
}

// flush decodes the words that were joined. Those of an unknown charset stay as they came.
func (d *wordDecoder) flush(words string) {
	if words == "" {
		return
	}
	text, ok := decodeCharset(d.charset, d.joined)
	if !ok && !knownCharset(charsetName(d.charset)) {
		text, _ = guess(words)
	}
	d.text.WriteString(text)
	d.ok = d.ok && ok
	d.joined = d.joined[:0]
}

// encodedWord is a word of RFC 2047.
type encodedWord struct {
	charset string
	decoded []byte
	length  int
}

// maxCharset bounds the name of a charset, in bytes.
const maxCharset = 80

// word parses the word that begins s.
func (d *wordDecoder) word(s string) (w encodedWord, ok bool) {
	end := wordEnd(s, &d.endless)
	if end == 0 {
		return w, false
	}
	w.length = end
	name, rest, _ := strings.Cut(s[len("=?"):end-len("?=")], "?")
	w.charset, _, _ = strings.Cut(name, "*") // a language (RFC 2231 §5)
	encoding, text := rest[0], rest[len("q?"):]
	if encoding == 'B' || encoding == 'b' {
		var b base64Decoder
		w.decoded = make([]byte, len(text)+3)
		_, n := b.decode([]byte(text), w.decoded)
		n += b.flush(w.decoded[n:])
		w.decoded = w.decoded[:n]
		return w, true
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch high, low := digit(text, i+1), digit(text, i+2); {
		case c == '_':
			c = ' '
		case c == '=' && high >= 0 && low >= 0:
			c = byte(high<<4 | low)
			i += 2
		}
		w.decoded = append(w.decoded, c)
	}
	return w, true
}

// wordEnd returns the length of the encoded word that begins s, or 0 if none does. It
// sets endless once no word ends in what is left, and does not look again.
func wordEnd(s string, endless *bool) int {
	if *endless || !strings.HasPrefix(s, "=?") {
		return 0
	}
	mark := strings.IndexByte(s[2:min(len(s), 2+maxCharset)], '?')
	if mark <= 0 || strings.ContainsAny(s[2:2+mark], " \t=\",<>") {
		return 0
	}
	begin := 2 + mark + len("?q?")
	if len(s) < begin || !strings.ContainsRune("bBqQ", rune(s[begin-2])) || s[begin-1] != '?' {
		return 0
	}
	length := strings.Index(s[begin:], "?=")
	if length < 0 {
		*endless = true
		return 0
	}
	return begin + length + len("?=")
}

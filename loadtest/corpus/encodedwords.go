package corpus

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// encodedWords returns text in encoded words of one charset (RFC 2047) with sep between
// them. No character is split.
func (w *writer) encodedWords(text string, c *charset, sep string) string {
	const most = 30 // bytes of a word's text, so that 75 are not exceeded in base64 and mostly in Q
	q := w.chance(2) && c.name != "iso-2022-jp"
	var words []string
	chunk := ""
	flush := func() {
		if chunk != "" {
			words = append(words, encodedWord(c, c.encode(chunk), q))
			chunk = ""
		}
	}
	for _, r := range text {
		if len(c.encode(chunk+string(r))) > most/(1+b2i(q)) {
			flush()
		}
		chunk += string(r)
	}
	flush()
	return strings.Join(words, sep)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// splitWords returns text in encoded words of UTF-8 that split characters, as careless
// programs write them.
func splitWords(text, sep string) string {
	var words []string
	for len(text) > 0 {
		n := min(17, len(text))
		words = append(words, encodedWord(&utf8, text[:n], false))
		text = text[n:]
	}
	return strings.Join(words, sep)
}

// encodedWord returns one encoded word.
func encodedWord(c *charset, encoded string, q bool) string {
	if !q {
		return "=?" + c.name + "?B?" + base64.StdEncoding.EncodeToString([]byte(encoded)) + "?="
	}
	var b strings.Builder
	b.WriteString("=?" + c.name + "?q?")
	for _, o := range []byte(encoded) {
		switch {
		case o == ' ':
			b.WriteByte('_')
		case isLetterOrDigit(o):
			b.WriteByte(o)
		default:
			fmt.Fprintf(&b, "=%02X", o)
		}
	}
	return b.String() + "?="
}

func isLetterOrDigit(o byte) bool {
	return '0' <= o && o <= '9' || 'A' <= o && o <= 'Z' || 'a' <= o && o <= 'z'
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

// unstructured returns text as the value of a field such as Subject, in one of the ways of
// real mail. It begins at the field's name.
func (w *writer) unstructured(text string) string {
	if isASCII(text) {
		if w.chance(4) {
			return strings.Replace(text, " ", "\r\n ", 1)
		}
		return text
	}
	switch w.random.IntN(10) {
	case 0: // raw, as some programs leave it
		w.truth.Odd = true
		return text
	case 1:
		w.truth.Odd = true
		return splitWords(text, "\r\n ")
	case 2:
		return w.encodedWords(text, &utf8, " ")
	default:
		return w.encodedWords(text, w.charset(), "\r\n ")
	}
}

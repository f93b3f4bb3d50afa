package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable returns a stranger's text in one line without anything that a terminal would
// obey: control characters, and those that change the direction of text.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case isPlain(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return utf8.RuneError
	}, text)
}

// isPlain reports whether a terminal shows a character and does no more. Joiners are part
// of how some scripts are written.
func isPlain(r rune) bool { return unicode.IsPrint(r) || r == '\u200c' || r == '\u200d' }

// cutText returns at most most characters of a text, with a mark if that is not all.
func cutText(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// printJSON prints a value in one line of JSON. Whatever a terminal would obey is escaped.
func printJSON(w io.Writer, value any) error {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	var out strings.Builder
	for _, r := range line.String() {
		switch {
		case r < utf8.RuneSelf && r != 0x7f || isPlain(r):
			out.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000 // RFC 8259 §7: a pair of UTF-16
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

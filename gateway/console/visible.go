package console

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks bounds the marks on one character, which else climb out of their line.
const maxMarks = 6

// visible returns a line of a stranger's text in which nothing hides: control characters
// and those that change the direction of text, or take no room, are written out.
func visible(s string) string { return expose(s, false) }

// visibleLines returns a text as visible does, with its line breaks and tabs.
func visibleLines(s string) string {
	return expose(strings.ReplaceAll(s, "\r\n", "\n"), true)
}

func expose(s string, lines bool) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	marks := 0
	for _, r := range s {
		if marks++; !unicode.Is(unicode.Mn, r) && !unicode.Is(unicode.Me, r) {
			marks = 0
		}
		switch {
		case lines && (r == '\n' || r == '\t'):
			b.WriteRune(r)
		case r == '\n' || r == '\r' || r == '\t':
			b.WriteByte(' ')
		case r < ' ':
			b.WriteRune('\u2400' + r) // the picture of the control character
		case hidden(r):
			fmt.Fprintf(&b, "[U+%04X]", r)
		case marks <= maxMarks:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// plain reports whether s is printable ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// hidden reports whether a character shows nothing itself. Joiners are what some scripts
// and emoji are written with, and stay.
func hidden(r rune) bool {
	return r != '\u200c' && r != '\u200d' &&
		unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) &&
		!unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// cut returns at most most characters of s, with a mark if that is not all.
func cut(s string, most int) string {
	if len(s) <= most || utf8.RuneCountInString(s) <= most {
		return s
	}
	for i := range s {
		if most--; most < 0 {
			return s[:i] + "…"
		}
	}
	return s
}

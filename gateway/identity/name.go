package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsName reports whether a text is fit to be the name of a user: it is not empty, has at most
// MaxUser bytes, and is UTF-8 without control characters.
func IsName(text string) bool {
	return text != "" && len(text) <= MaxUser && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// Fold returns a name in lower case, the form in which names are compared and in which an
// Identity is. A letter beyond ASCII stays one: the Kelvin sign is no k and a capital I with
// a dot no i, or who has such a name would be somebody else.
func Fold(name string) string {
	return strings.Map(func(c rune) rune {
		lower := unicode.ToLower(c)
		if c > unicode.MaxASCII && lower <= unicode.MaxASCII {
			return c
		}
		return lower
	}, name)
}

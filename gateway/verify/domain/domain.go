// Package domain brings names of domains into the one form in which they are compared and
// asked for: A-labels in lower case, without a final dot.
package domain

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// maxName is the longest name that can be asked for (RFC 1035 §2.3.4).
const maxName = 253

// profile maps as browsers do, and allows what DNS has beside hosts, such as underscores.
var profile = idna.New(
	idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false),
)

// ASCII returns a name in A-labels and lower case. It reports whether the name is one:
// labels of 1 to 63 letters, digits, hyphens and underscores, 253 bytes in all.
func ASCII(name string) (string, bool) {
	if len(name) > 4*maxName || !utf8.ValidString(name) {
		return "", false
	}
	if !isASCII(name) {
		mapped, err := profile.ToASCII(name)
		if err != nil {
			return "", false
		}
		name = mapped
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name, isName(name)
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

func isName(name string) bool {
	label := 0
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '.' && label == 0:
			return false
		case c == '.':
			label = 0
			continue
		case c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z'):
			return false
		}
		if label++; label > 63 {
			return false
		}
	}
	return label > 0 && len(name) <= maxName
}

// Within reports whether a name is that of a domain or of something below it. Both are in
// the form that ASCII returns.
func Within(name, of string) bool {
	above, below := strings.CutSuffix(name, of)
	return below && (above == "" || strings.HasSuffix(above, "."))
}

package identity_test

import (
	"strings"
	"testing"
	"unicode"

	"sluice/gateway/identity"
)

// TestFold makes no letter of ASCII out of another one, and takes case away.
func TestFold(t *testing.T) {
	for name, want := range map[string]string{
		"Ann@Example.COM": "ann@example.com", "MÜLLER": "müller", "\u0130nfo@example.com": "\u0130nfo@example.com",
		"\u212aevin": "\u212aevin", "": "",
	} {
		if got := identity.Fold(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	for c := rune(unicode.MaxASCII + 1); c <= unicode.MaxRune; c++ {
		if got := identity.Fold(string(c)); strings.ContainsFunc(got, func(r rune) bool { return r <= unicode.MaxASCII }) {
			t.Errorf("%U becomes %q", c, got)
		}
	}
}

// TestIsName checks what may be the name of a user.
func TestIsName(t *testing.T) {
	for name, want := range map[string]bool{
		"ann": true, "Ännchen@example.com": true, strings.Repeat("x", identity.MaxUser): true, "a b": true,
		"": false, strings.Repeat("x", identity.MaxUser+1): false, "a\xff": false, "a\x00": false, "a\n": false, "a\u0085": false,
	} {
		if got := identity.IsName(name); got != want {
			t.Errorf("%.20q: %t", name, got)
		}
	}
}

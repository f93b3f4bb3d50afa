package session

import (
	"net/netip"
	"strings"
	"testing"
)

func TestAcceptDomains(t *testing.T) {
	list := AcceptDomains([]string{"example.net", "*.Sub.Example.org", "[192.0.2.1]"})
	long := strings.Repeat("a.", 120) + "sub.example.org" // 255 octets
	for domain, want := range map[string]bool{
		"example.net":         true,
		"EXAMPLE.NET":         true,
		"a.example.net":       false,
		"xexample.net":        false,
		"example.net.":        false,
		"net":                 false,
		"":                    false,
		"sub.example.org":     false, // *. matches only the domains below
		"a.sub.example.org":   true,
		"A.b.SUB.example.org": true,
		"asub.example.org":    false,
		".sub.example.org":    true, // no path has such a domain
		"example.org":         false,
		"[192.0.2.1]":         true,
		"[192.0.2.2]":         false,
		long:                  true,
		long[:len(long)-1]:    false,
	} {
		if got := list.Accepts([]byte(domain)); got != want {
			t.Errorf("%q: %v, want %v", domain, got, want)
		}
		if !AcceptAny().Accepts([]byte(domain)) || AcceptDomains(nil).Accepts([]byte(domain)) {
			t.Errorf("%q: any is not all, or none is some", domain)
		}
	}
}

// TestAcceptsLeavesTheDomain checks that the comparison does not change the client's
// octets.
func TestAcceptsLeavesTheDomain(t *testing.T) {
	domain := []byte("A.Example.NET")
	if AcceptDomains([]string{"*.example.net"}).Accepts(domain); string(domain) != "A.Example.NET" {
		t.Errorf("%s", domain)
	}
}

func TestTolerates(t *testing.T) {
	some := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	for _, c := range []struct {
		client string
		all    bool
		from   []netip.Prefix
		want   bool
	}{
		{"192.0.2.7:1", false, nil, false},
		{"192.0.2.7:1", true, nil, true},
		{"192.0.2.7:1", false, some, true},
		{"198.51.100.7:1", false, some, false},
		{"[::ffff:192.0.2.7]:1", false, some, true}, // as a socket for both families reports it
		{"[2001:db8::7]:1", false, some, true},
		{"[2001:db9::7]:1", false, some, false},
	} {
		settings := testSettings()
		settings.Tolerate, settings.TolerateFrom = c.all, c.from
		s := New(settings, netip.MustParseAddrPort(c.client), 1)
		if got := s.Tolerates(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

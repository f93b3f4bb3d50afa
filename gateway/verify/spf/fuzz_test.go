package spf

import (
	"context"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

// The grammar of RFC 7208 §12, but for addresses of ip6 and for terms that may not be there
// twice.
const (
	macroExpand = `%(?:\{[slodiphv](?:0*[1-9][0-9]*)?r?[-.+,/_=]*\}|[%_-])`
	macroString = `(?:` + macroExpand + `|[!-$&-~])*`
	topLabel    = `(?:[0-9a-z]*[a-z][0-9a-z]*|[0-9a-z]+-[-0-9a-z]*[0-9a-z])`
	domain      = macroString + `(?:\.` + topLabel + `\.?|` + macroExpand + `)`
	bits4       = `/(?:[0-9]|[12][0-9]|3[0-2])`
	bits6       = `/(?:[0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])`
	number      = `(?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])`
	directives  = `[-+?~]?(?:all|include:` + domain + `|(?:a|mx)(?::` + domain + `)?(?:` + bits4 + `)?(?:/` + bits6 + `)?` +
		`|ptr(?::` + domain + `)?|ip4:(?:` + number + `\.){3}` + number + `(?:` + bits4 + `)?|ip6:([0-9a-f:.]+)(?:` + bits6 + `)?` +
		`|exists:` + domain + `)`
	modifiers = `redirect=` + domain + `|exp=` + domain + `|([a-z][-_.a-z0-9]*)=` + macroString
)

var grammar = regexp.MustCompile(`(?is)^(?:` + directives + `|` + modifiers + `)$`)

// follows reports whether a record follows the grammar.
func follows(text string) bool {
	once := map[string]bool{}
	for term := range strings.SplitSeq(text[len("v=spf1"):], " ") {
		if term == "" {
			continue
		}
		m := grammar.FindStringSubmatch(term)
		if m == nil {
			return false
		}
		if m[1] != "" {
			if a, err := netip.ParseAddr(m[1]); err != nil || !a.Is6() {
				return false
			}
		}
		name, _, ok := strings.Cut(strings.ToLower(term), "=")
		if ok && (name == "redirect" || name == "exp") {
			if once[name] || m[2] != "" {
				return false
			}
			once[name] = true
		}
	}
	return true
}

// FuzzRecord compares the parser with the grammar, and evaluates what it accepts in a DNS
// that has everything or nothing.
func FuzzRecord(f *testing.F) {
	for _, seed := range []string{
		"v=spf1 a:a.test/24//64 mx/0 -all", "v=spf1 include:%{d2r}.test ?ptr:b.test redirect=%{o}", "V=SPF1 ~ip4:192.0.2.0/24 ip6:2001:db8::/32",
		"v=spf1 exists:%{ir}.%{v}.%{L1r+-}.x.test x=%_%-%% exp=e.test", "v=spf1 a:a.123 a/024 a//129 ip6:::1/129", "v=spf1 a:%{d}/24 a:a.b.",
		"v=spf1 redirect=a.test redirect=b.test", "v=spf1 ip6:::ffff:1.2.3.4 exists:%{p}.%{s}.%{h}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !isRecord(text) || len(text) > 2000 {
			return
		}
		_, err := parseRecord(text)
		if want := follows(text); (err == nil) != want {
			t.Fatalf("%q: %v, and the grammar says %t", text, err, want)
		}
		if err != nil {
			return
		}
		for _, client := range []string{"192.0.2.3", "2001:db8::3"} {
			for _, there := range []bool{true, false} {
				dns := &echo{text: text, there: there}
				got := Check(context.Background(), dns, Query{Client: netip.MustParseAddr(client), HELO: "h.test", Sender: "a.b@d.test"})
				if dns.asked > 1+maxTerms*(1+2*maxHosts) {
					t.Fatalf("%q: %d lookups", text, dns.asked)
				}
				for _, c := range []byte(got.Reason) {
					if c < ' ' || c > '~' {
						t.Fatalf("%q: reason %q", text, got.Reason)
					}
				}
			}
		}
	})
}

// echo is a DNS in which each name has the same record, many hosts and no address that
// matches, or nothing.
type echo struct {
	text  string
	there bool
	asked int
}

func (e *echo) err(name string) error {
	if e.asked++; e.there || e.asked == 1 {
		return nil
	}
	return &net.DNSError{Err: "no such name", Name: name, IsNotFound: true}
}

func (e *echo) TXT(_ context.Context, name string) ([]string, error) {
	return []string{e.text}, e.err(name)
}

func (e *echo) A(_ context.Context, name string) ([]netip.Addr, error) {
	if err := e.err(name); err != nil {
		return nil, err
	}
	return []netip.Addr{netip.MustParseAddr("198.51.100.1")}, nil
}

func (e *echo) AAAA(_ context.Context, name string) ([]netip.Addr, error) {
	if err := e.err(name); err != nil {
		return nil, err
	}
	return []netip.Addr{netip.MustParseAddr("fe80::1")}, nil
}

func (e *echo) MX(_ context.Context, name string) ([]net.MX, error) {
	if err := e.err(name); err != nil {
		return nil, err
	}
	return []net.MX{{Host: "m1.test"}, {Host: "m2.test"}}, nil
}

func (e *echo) PTR(_ context.Context, address netip.Addr) ([]string, error) {
	if err := e.err(address.String()); err != nil {
		return nil, err
	}
	return []string{"a.test", "b.test", "c.test"}, nil
}

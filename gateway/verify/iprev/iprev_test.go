package iprev_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sluice/gateway/resolver"
	"sluice/gateway/verify/iprev"
)

// The lookups of a message are what a check asks.
var _ iprev.Resolver = (*resolver.Lookups)(nil)

// zone is a DNS of "what: answer, answer"; the answer "!" is that nobody knows.
type zone struct {
	records map[string]string
	asked   []string
}

func (z *zone) ask(what string) ([]string, error) {
	z.asked = append(z.asked, what)
	switch text, found := z.records[what]; {
	case !found:
		return nil, &net.DNSError{Err: "no such record", IsNotFound: true}
	case text == "!":
		return nil, &net.DNSError{Err: "server failure", IsTemporary: true}
	case text == "odd":
		return nil, errors.New("odd\r\nerror")
	default:
		return strings.Split(text, ", "), nil
	}
}

func (z *zone) PTR(_ context.Context, address netip.Addr) ([]string, error) {
	return z.ask(address.String())
}

func (z *zone) A(_ context.Context, name string) ([]netip.Addr, error) {
	return z.addresses("A " + name)
}

func (z *zone) AAAA(_ context.Context, name string) ([]netip.Addr, error) {
	return z.addresses("AAAA " + name)
}

func (z *zone) addresses(what string) (all []netip.Addr, err error) {
	texts, err := z.ask(what)
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all, err
}

func TestCheck(t *testing.T) {
	const four, six = "192.0.2.3", "2001:db8::3"
	many := make([]string, 12)
	for i := range many {
		many[i] = "n" + strconv.Itoa(i) + ".test"
	}
	for name, c := range map[string]struct {
		client  string
		records map[string]string
		want    string
	}{
		"confirmed":                            {four, map[string]string{four: "Mail.D.test", "A mail.d.test": "192.0.2.4, 192.0.2.3"}, "pass mail.d.test"},
		"confirmed, of IPv6":                   {six, map[string]string{six: "mail.d.test", "AAAA mail.d.test": six}, "pass mail.d.test"},
		"IPv4 in IPv6":                         {"::ffff:192.0.2.3", map[string]string{four: "d.test", "A d.test": four}, "pass d.test"},
		"the second one":                       {four, map[string]string{four: "a.test, b.test", "A b.test": four}, "pass b.test"},
		"whatever failed before":               {four, map[string]string{four: "a.test, b.test", "A a.test": "!", "A b.test": four}, "pass b.test"},
		"the first of two":                     {four, map[string]string{four: "a.test, b.test", "A a.test": four, "A b.test": four}, "pass a.test"},
		"of the other kind alone":              {four, map[string]string{four: "a.test", "AAAA a.test": six}, "permerror"},
		"another address":                      {four, map[string]string{four: "a.test", "A a.test": "192.0.2.4"}, "fail"},
		"another, and none":                    {four, map[string]string{four: "a.test, b.test", "A a.test": "192.0.2.4"}, "fail"},
		"no name":                              {four, nil, "permerror"},
		"a name without address":               {four, map[string]string{four: "a.test"}, "permerror"},
		"the name is unknown":                  {four, map[string]string{four: "!"}, "temperror"},
		"its address is unknown":               {four, map[string]string{four: "a.test", "A a.test": "!"}, "temperror"},
		"one of two is unknown":                {four, map[string]string{four: "a.test, b.test", "A a.test": "!", "A b.test": "192.0.2.4"}, "temperror"},
		"an odd error":                         {four, map[string]string{four: "a.test", "A a.test": "odd"}, "temperror"},
		"the tenth name":                       {four, map[string]string{four: strings.Join(many, ", "), "A n9.test": four}, "pass n9.test"},
		"the eleventh, which is not looked up": {four, map[string]string{four: strings.Join(many, ", "), "A n10.test": four}, "permerror"},
	} {
		z := &zone{records: c.records}
		got := iprev.Check(t.Context(), z, netip.MustParseAddr(c.client))
		if s := strings.TrimSpace(string(got.Result) + " " + got.Name); s != c.want {
			t.Errorf("%s: %s (%s), want %s", name, s, got.Reason, c.want)
		}
		if (got.Reason == "") != (got.Result == iprev.Pass) || strings.ContainsAny(got.Reason, "\r\n") {
			t.Errorf("%s: reason %q", name, got.Reason)
		}
		if len(z.asked) > 11 || !slices.Contains(iprev.Results(), got.Result) {
			t.Errorf("%s: %d lookups, %s", name, len(z.asked), got.Result)
		}
	}
}

// Names that cannot be written into a field of a message are not looked up.
func TestNames(t *testing.T) {
	for _, name := range []string{
		"", ".", "localhost", "192.0.2.3", "a..test", "a b.test", "a\r\nb.test", "a;b.test", "(a).test", "\xe4.test", "ä.test", `a".test`, "a\x00.test",
		strings.Repeat("a", 64) + ".test", strings.Repeat("a.", 126) + "test",
	} {
		z := &zone{records: map[string]string{"192.0.2.3": name, "A " + name: "192.0.2.3"}}
		if got := iprev.Check(t.Context(), z, netip.MustParseAddr("192.0.2.3")); got.Result != iprev.PermError || len(z.asked) != 1 {
			t.Errorf("%q: %+v, asked %q", name, got, z.asked)
		}
	}
	z := &zone{records: map[string]string{"192.0.2.3": "a-b_c.1.xn--p1ai", "A a-b_c.1.xn--p1ai": "192.0.2.3"}}
	if got := iprev.Check(t.Context(), z, netip.MustParseAddr("192.0.2.3")); got.Result != iprev.Pass {
		t.Errorf("%+v", got)
	}
}

package resolver

import (
	"testing"

	"github.com/miekg/dns"
)

// FuzzResponse reads responses that anybody may have written.
func FuzzResponse(f *testing.F) {
	for _, texts := range [][]string{
		{"d.test. 300 IN TXT a b"}, {"d.test. 300 IN CNAME e.test.", "e.test. 300 IN TXT a"}, {"d.test. 1 IN CNAME d.test."},
		{"d.test. 300 IN MX 10 .", "d.test. 300 IN A 192.0.2.1"}, {"d.test. 300 IN AAAA ::1", `d.test. 300 IN PTR a\.b.test.`},
	} {
		for _, qtype := range []uint16{dns.TypeTXT, dns.TypeA, dns.TypeMX} {
			m := new(dns.Msg)
			m.SetQuestion("d.test.", qtype)
			for _, text := range texts {
				rr, err := dns.NewRR(text)
				if err != nil {
					f.Fatal(err)
				}
				m.Answer = append(m.Answer, rr)
			}
			wire, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(wire)
		}
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := new(dns.Msg)
		if err := m.Unpack(wire); err != nil || len(m.Question) != 1 {
			return
		}
		got := read(m)
		n := len(got.texts) + len(got.addresses) + len(got.mxs)
		if (got.err == nil) != (n > 0) || got.ttl < 0 || got.ttl > maxTTL || !got.known() && got.ttl != 0 {
			t.Fatalf("%s\n%d records, %v, TTL %s", m, n, got.err, got.ttl)
		}
		if got.alias != "" {
			if _, err := newQuery(got.alias, dns.TypeTXT).Pack(); err != nil {
				t.Fatalf("alias %q: %v", got.alias, err)
			}
		}
	})
}

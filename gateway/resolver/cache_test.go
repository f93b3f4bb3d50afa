package resolver

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/miekg/dns"
)

func TestCacheExpires(t *testing.T) {
	c, now := newCache(1<<20), time.Unix(1e9, 0)
	q := question{name: "d.test", qtype: 16}
	c.put(q, &answer{ttl: time.Minute}, now)
	c.put(question{name: "zero.test", qtype: 16}, &answer{}, now)
	if c.get(q, now.Add(time.Minute-1)) == nil || c.get(question{name: "d.test", qtype: 1}, now) != nil {
		t.Error("not what was put")
	}
	if c.get(question{name: "zero.test", qtype: 16}, now) != nil {
		t.Error("an answer with a TTL of 0 is remembered")
	}
	if c.get(q, now.Add(time.Minute)) != nil || c.size() != 0 {
		t.Error("an answer outlives its time")
	}
}

// Whatever is put in, the cache is not larger than it may be, and what was used last stays.
func TestCacheIsBounded(t *testing.T) {
	const limit = 1 << 20
	c, now := newCache(limit), time.Unix(1e9, 0)
	used := question{name: "used.test", qtype: 16}
	c.put(used, &answer{ttl: time.Hour, texts: []string{"x"}}, now)
	for i := range 20_000 {
		c.put(question{name: fmt.Sprintf("n%d.test", i), qtype: 16}, &answer{ttl: time.Hour, texts: []string{strings.Repeat("x", i%1000)}}, now)
		if c.get(used, now) == nil {
			t.Fatalf("what was used last has left after %d", i)
		}
	}
	if n := c.size(); n > limit || n < limit/2 {
		t.Errorf("%d bytes of %d", n, limit)
	}
	huge := question{name: "huge.test", qtype: 16}
	c.put(huge, &answer{ttl: time.Hour, texts: []string{strings.Repeat("x", limit)}}, now)
	if c.get(huge, now) != nil || c.size() < limit/2 {
		t.Error("a huge answer took the place of all others")
	}
}

// What is remembered does not hold the header that a name was found in.
func TestCacheHoldsNoMore(t *testing.T) {
	c, now := newCache(1<<20), time.Unix(1e9, 0)
	header := strings.Repeat("x", 256<<10) + "d.test"
	name := header[len(header)-len("d.test"):]
	q := question{name: name, qtype: 16}
	c.put(q, &answer{ttl: time.Hour}, now)
	for known, at := range c.shard(q).entries {
		if unsafe.StringData(known.name) == unsafe.StringData(name) || unsafe.StringData(at.Value.(*entry).question.name) == unsafe.StringData(name) {
			t.Error("a name is a piece of what was given")
		}
	}
}

// How long an answer is remembered: as long as the first of its records, absence as the SOA
// record says (RFC 2308 §5), and never for ever.
func TestTTL(t *testing.T) {
	const name, soa = "d.test. ", " IN SOA ns.test. root.test. 1 2 3 4 "
	for _, c := range []struct {
		answer, authority []string
		rcode             int
		want              time.Duration
	}{
		{answer: []string{name + "300 IN TXT a", name + "200 IN TXT b"}, want: 200 * time.Second},
		{answer: []string{name + "100 IN CNAME e.test.", "e.test. 300 IN TXT a"}, want: 100 * time.Second},
		{answer: []string{name + "300 IN TXT a", "e.test. 1 IN TXT b"}, want: 300 * time.Second},
		{answer: []string{name + "0 IN TXT a"}, want: 0},
		{answer: []string{name + "4000000000 IN TXT a"}, want: 0}, // RFC 2181 §8
		{answer: []string{name + "2000000000 IN TXT a"}, want: maxTTL},
		{authority: []string{"test. 600" + soa + "300"}, want: 300 * time.Second},
		{authority: []string{"test. 200" + soa + "300"}, rcode: dns.RcodeNameError, want: 200 * time.Second},
		{authority: []string{"test. 999999" + soa + "999999"}, want: maxNegativeTTL},
		{authority: []string{"other. 600" + soa + "300"}, want: 0},
		{rcode: dns.RcodeNameError, want: 0},
		{answer: []string{name + "10 IN CNAME e.test."}, authority: []string{"test. 600" + soa + "300"}, want: 10 * time.Second},
	} {
		m := new(dns.Msg)
		m.SetQuestion("D.test.", dns.TypeTXT)
		m.Rcode = c.rcode
		for _, text := range c.answer {
			m.Answer = append(m.Answer, record(t, text))
		}
		for _, text := range c.authority {
			m.Ns = append(m.Ns, record(t, text))
		}
		if got := read(m); got.ttl != c.want || !got.known() || got.alias != "" {
			t.Errorf("%q %q: %s, %v, alias %q; want %s", c.answer, c.authority, got.ttl, got.err, got.alias, c.want)
		}
	}
}

func record(t *testing.T, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

package resolver_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"sluice/gateway/resolver"
	"sluice/gateway/verify/txt"
)

// zoneOf answers from records; what it does not have does not exist.
func zoneOf(texts ...string) func(q query, reply *dns.Msg) bool {
	records := rr(texts...)
	return func(q query, reply *dns.Msg) bool {
		exists := false
		for _, record := range records {
			h := record.Header()
			if !strings.EqualFold(h.Name, q.name) {
				continue
			}
			exists = true
			if h.Rrtype == q.qtype {
				reply.Answer = append(reply.Answer, record)
			}
		}
		if len(reply.Answer) == 0 {
			reply.Ns = rr("test. 600 IN SOA ns.test. root.test. 1 2 3 4 300")
			if !exists {
				reply.Rcode = dns.RcodeNameError
			}
		}
		return true
	}
}

func TestTypes(t *testing.T) {
	s := newStandin(t, zoneOf(
		`d.test. 300 IN TXT "v=spf1 " "-all"`, `d.test. 300 IN TXT "a\"b\\c\001"`,
		"d.test. 300 IN A 192.0.2.1", "d.test. 300 IN A 192.0.2.2", "d.test. 300 IN AAAA 2001:db8::1",
		"d.test. 300 IN MX 10 MX.d.test.", "null.test. 300 IN MX 0 .",
		"1.2.0.192.in-addr.arpa. 300 IN PTR Mail.D.test.",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 300 IN PTR six.test.",
	))
	heard := &observer{}
	r := open(t, resolver.Options{Observer: heard}, s.address)
	l, ctx := r.Lookups(100), t.Context()
	check := func(got any, err error, want string) {
		t.Helper()
		if err != nil || fmt.Sprintf("%q", got) != want {
			t.Errorf("%q, %v\nwant %s", got, err, want)
		}
	}
	texts, err := l.TXT(ctx, "D.test.")
	check(texts, err, `["v=spf1 -all" "a\"b\\c\x01"]`)
	a, err := l.A(ctx, "d.test")
	check(a, err, `["192.0.2.1" "192.0.2.2"]`)
	aaaa, err := l.AAAA(ctx, "d.test")
	check(aaaa, err, `["2001:db8::1"]`)
	mx, err := l.MX(ctx, "d.test")
	check(mx, err, `[{"mx.d.test" '\n'}]`)
	mx, err = l.MX(ctx, "null.test")
	check(mx, err, `[{"" '\x00'}]`)
	ptr, err := l.PTR(ctx, netip.MustParseAddr("::ffff:192.0.2.1"))
	check(ptr, err, `["mail.d.test"]`)
	ptr, err = l.PTR(ctx, netip.MustParseAddr("2001:db8::1"))
	check(ptr, err, `["six.test"]`)
	if got := heard.last(); got != "PTR found" {
		t.Errorf("heard %q", got)
	}
	if l.Left() != 93 {
		t.Errorf("%d lookups are left", l.Left())
	}
}

// NXDOMAIN is told from NODATA, and both are remembered (RFC 2308).
func TestAbsent(t *testing.T) {
	s := newStandin(t, zoneOf("d.test. 300 IN A 192.0.2.1"))
	heard := &observer{}
	r := open(t, resolver.Options{Observer: heard}, s.address)
	for _, c := range []struct {
		name    string
		want    error
		outcome string
	}{{"d.test", resolver.ErrNoData, "TXT nodata"}, {"gone.test", resolver.ErrNoName, "TXT nxdomain"}} {
		for _, suffix := range []string{"", " hit"} {
			_, err := r.Lookups(1).TXT(t.Context(), c.name)
			bare, ok := err.(*net.DNSError) //nolint:errorlint // libraries do not unwrap
			if !ok || !errors.Is(err, c.want) || !bare.IsNotFound || bare.IsTemporary || bare.IsTimeout {
				t.Errorf("%s: %#v", c.name, err)
			}
			if got := heard.last(); got != c.outcome+suffix {
				t.Errorf("%s: heard %q", c.name, got)
			}
		}
	}
	if n := len(s.asked()); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// Checks of a message are told what a lookup means, and no more.
func TestLookupTXT(t *testing.T) {
	zone := zoneOf("d.test. 300 IN A 192.0.2.1", "t.test. 300 IN TXT a")
	s := newStandin(t, func(q query, reply *dns.Msg) bool {
		if strings.EqualFold(q.name, "broken.test.") {
			reply.Rcode = dns.RcodeServerFailure
			return true
		}
		return zone(q, reply)
	})
	var l txt.Resolver = open(t, resolver.Options{}, s.address).Lookups(5)
	for _, c := range []struct {
		name string
		want txt.Outcome
	}{
		{"t.test", txt.Found}, {"d.test", txt.Absent}, {"gone.test", txt.NXDomain}, {"a..test", txt.NXDomain}, {"broken.test", txt.Failed},
		{"t.test", txt.Failed}, // past the lookups of the message
	} {
		texts, got := l.LookupTXT(t.Context(), c.name)
		if got != c.want || (len(texts) > 0) != (got == txt.Found) {
			t.Errorf("%s: %q, %s", c.name, texts, got)
		}
	}
}

// Names that nobody can have are not asked for, and any other is, whatever is in it.
func TestNames(t *testing.T) {
	s := newStandin(t, func(q query, reply *dns.Msg) bool {
		header := dns.RR_Header{Name: strings.ToLower(q.name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 300}
		reply.Answer = []dns.RR{&dns.TXT{Hdr: header, Txt: []string{"x"}}}
		return true
	})
	r := open(t, resolver.Options{}, s.address)
	for _, name := range []string{"", ".", "a..test", ".test", strings.Repeat("a", 64) + ".test", strings.Repeat("a.", 127) + "test"} {
		if _, err := r.Lookups(1).TXT(t.Context(), name); !errors.Is(err, resolver.ErrNoName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if n := len(s.asked()); n != 0 {
		t.Errorf("asked %d times", n)
	}
	for i, c := range []struct{ name, asked string }{{`A b;\".TEST`, `a\ b\;\\\".test.`}, {"\xe4\xc8.test", `\228\200.test.`}} {
		if got, err := r.Lookups(1).TXT(t.Context(), c.name); err != nil || got[0] != "x" {
			t.Errorf("%q: %q, %v", c.name, got, err)
		}
		if got := strings.ToLower(s.asked()[i].name); got != c.asked {
			t.Errorf("%q: asked for %q", c.name, got)
		}
	}
}

// Each query has another port, another number and its letters in another case.
func TestQueries(t *testing.T) {
	ids := map[uint16]bool{}
	var mu sync.Mutex
	s := newRawStandin(t, func(w dns.ResponseWriter, m, reply *dns.Msg) {
		mu.Lock()
		ids[m.Id] = true
		mu.Unlock()
		reply.Answer = rr(m.Question[0].Name + " 0 IN TXT x")
		_ = w.WriteMsg(reply)
	})
	r := open(t, resolver.Options{}, s.address)
	const n = 40
	for range n {
		if _, err := r.Lookups(1).TXT(t.Context(), "abcdefghijklmnop.test"); err != nil {
			t.Fatal(err)
		}
	}
	names, ports := map[string]bool{}, map[int]bool{}
	for _, q := range s.asked() {
		names[q.name], ports[q.port] = true, true
		if q.udpSize != 1232 {
			t.Errorf("EDNS0 size %d", q.udpSize)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(names) < n-5 || len(ports) < n/2 || len(ids) < n-5 {
		t.Errorf("%d names, %d ports and %d numbers in %d queries", len(names), len(ports), len(ids), n)
	}
}

// What comes in place of an answer is no answer; the true one is waited for.
func TestForged(t *testing.T) {
	forge := map[string]func(reply *dns.Msg){
		"other number":   func(m *dns.Msg) { m.Id++ },
		"other question": func(m *dns.Msg) { m.Question[0].Name = "e.test." },
		"other type":     func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA },
		"no question":    func(m *dns.Msg) { m.Question = nil },
		"a query":        func(m *dns.Msg) { m.Response = false },
		"other kind":     func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate },
	}
	for name, change := range forge {
		s := newRawStandin(t, func(w dns.ResponseWriter, m, reply *dns.Msg) {
			reply.Answer = rr("d.test. 300 IN TXT true")
			forged := reply.Copy()
			forged.Answer = rr("d.test. 300 IN TXT forged")
			change(forged)
			_ = w.WriteMsg(forged)
			_, _ = w.Write([]byte("x"))
			_, _ = w.Write(make([]byte, 12))
			_ = w.WriteMsg(reply)
		})
		got, err := open(t, resolver.Options{}, s.address).Lookups(1).TXT(t.Context(), "d.test")
		if err != nil || !slices.Equal(got, []string{"true"}) || s.networks() != "udp" {
			t.Errorf("%s: %q, %v, by %s", name, got, err, s.networks())
		}
	}
}

// An answer in other letters is asked for again by TCP, which a forger has no part in.
func TestOtherLetters(t *testing.T) {
	s := newStandin(t, func(q query, reply *dns.Msg) bool {
		reply.Answer = rr("abcdefghijklmnop.test. 300 IN TXT " + q.network)
		reply.Question[0].Name = "ABCDEFGHIJKLMNOP.test." // once in 2^20 it is the same
		return true
	})
	got, err := open(t, resolver.Options{}, s.address).Lookups(1).TXT(t.Context(), "abcdefghijklmnop.test")
	if err != nil || !slices.Equal(got, []string{"tcp"}) || s.networks() != "udp tcp" {
		t.Errorf("%q, %v, by %s", got, err, s.networks())
	}
}

// An answer that was cut is asked for by TCP, also if it was cut within a record.
func TestTruncated(t *testing.T) {
	long := strings.Repeat(`"`+strings.Repeat("x", 250)+`" `, 200)
	for _, within := range []string{"", "within"} {
		s := newRawStandin(t, func(w dns.ResponseWriter, m, reply *dns.Msg) {
			if w.RemoteAddr().Network() == "tcp" {
				reply.Answer = rr("d.test. 300 IN TXT " + long)
				_ = w.WriteMsg(reply)
				return
			}
			reply.Truncated = true
			reply.Answer = rr("d.test. 300 IN TXT short")
			wire, _ := reply.Pack()
			if within != "" {
				wire = wire[:len(wire)-3]
			}
			_, _ = w.Write(wire)
		})
		got, err := open(t, resolver.Options{}, s.address).Lookups(1).TXT(t.Context(), "d.test")
		if err != nil || len(got) != 1 || len(got[0]) != 50_000 || s.networks() != "udp tcp" {
			t.Errorf("%s %d texts, %v, by %s", within, len(got), err, s.networks())
		}
	}
}

// The next server is asked when one is away, refuses, fails or talks nonsense; and the one
// that answered is asked first from then on.
func TestNextServer(t *testing.T) {
	t.Parallel()
	good := zoneOf("d.test. 300 IN TXT good")
	for name, bad := range map[string]func(q query, reply *dns.Msg) bool{
		"silent":    func(query, *dns.Msg) bool { return false },
		"SERVFAIL":  func(_ query, m *dns.Msg) bool { m.Rcode = dns.RcodeServerFailure; return true },
		"REFUSED":   func(_ query, m *dns.Msg) bool { m.Rcode = dns.RcodeRefused; return true },
		"lame":      func(_ query, m *dns.Msg) bool { m.RecursionAvailable = false; return true },
		"a circle":  func(_ query, m *dns.Msg) bool { m.Answer = rr("d.test. 300 IN CNAME d.test."); return true },
		"cut twice": func(_ query, m *dns.Msg) bool { m.Truncated = true; return true },
	} {
		first, second := newStandin(t, bad), newStandin(t, good)
		options := resolver.Options{}
		if name == "silent" {
			options.Timeout = time.Second
		}
		r := open(t, options, first.address, second.address)
		got, err := r.Lookups(1).TXT(t.Context(), "d.test")
		if err != nil || !slices.Equal(got, []string{"good"}) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		before := len(first.asked())
		_, _ = r.Lookups(1).TXT(t.Context(), "e.test")
		if len(first.asked()) != before {
			t.Errorf("%s: was asked first again", name)
		}
	}
	closed, good2 := "127.0.0.1:1", newStandin(t, good)
	if got, err := open(t, resolver.Options{}, closed, good2.address).Lookups(1).TXT(t.Context(), "d.test"); err != nil {
		t.Errorf("closed port: %q, %v", got, err)
	}
}

// With one server, a datagram that is lost is sent again.
func TestLost(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	s := newStandin(t, func(q query, reply *dns.Msg) bool {
		reply.Answer = rr("d.test. 300 IN TXT found")
		return n.Add(1) > 1
	})
	r := open(t, resolver.Options{Timeout: 2 * time.Second}, s.address)
	if got, err := r.Lookups(1).TXT(t.Context(), "d.test"); err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// What failed is a bare error of net that is temporary, and is remembered for a moment.
func TestFailed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  func(q query, reply *dns.Msg) bool
		outcome string
		asked   int // a server that has answered is not asked the same again
	}{
		"SERVFAIL": {func(_ query, m *dns.Msg) bool { m.Rcode = dns.RcodeServerFailure; return true }, "servfail", 1},
		"NOTIMP":   {func(_ query, m *dns.Msg) bool { m.Rcode = dns.RcodeNotImplemented; return true }, "refused", 1},
		"silent":   {func(query, *dns.Msg) bool { return false }, "timeout", 2},
		"circle": {func(_ query, m *dns.Msg) bool {
			m.Answer = rr("d.test. 1 IN CNAME e.test.", "e.test. 1 IN CNAME d.test.")
			return true
		}, "bogus", 1},
		"asked on": {func(q query, m *dns.Msg) bool {
			m.Answer = rr(q.name + " 1 IN CNAME x" + strings.ToLower(q.name))
			return true
		}, "bogus", 8},
	} {
		s := newStandin(t, c.answer)
		heard := &observer{}
		options := resolver.Options{Observer: heard}
		if c.outcome == "timeout" {
			options.Timeout = time.Second
		}
		r := open(t, options, s.address)
		_, err := r.Lookups(1).TXT(t.Context(), "d.test")
		bare, ok := err.(*net.DNSError) //nolint:errorlint // libraries do not unwrap
		if !ok || !bare.IsTemporary || bare.IsNotFound || bare.IsTimeout != (c.outcome == "timeout") {
			t.Errorf("%s: %#v", name, err)
		}
		if got := heard.last(); got != "TXT "+c.outcome {
			t.Errorf("%s: heard %q", name, got)
		}
		if n := len(s.asked()); n != c.asked {
			t.Errorf("%s: asked %d times", name, n)
		}
		if !slices.Contains(resolver.Outcomes(), c.outcome) {
			t.Errorf("%s is no outcome", c.outcome)
		}
	}
}

// Aliases are followed, in the answer and by asking on; what else an answer holds is
// ignored.
func TestAliases(t *testing.T) {
	s := newStandin(t, func(q query, reply *dns.Msg) bool {
		switch strings.ToLower(q.name) {
		case "here.test.": // in one answer, in any order
			reply.Answer = rr("c.test. 300 IN TXT end", "b.test. 300 IN CNAME c.test.", "HERE.test. 300 IN CNAME b.test.")
		case "there.test.": // not all of it
			reply.Answer = rr("there.test. 300 IN CNAME e.test.")
		case "e.test.":
			reply.Answer = rr("e.test. 300 IN TXT asked")
		case "nothing.test.":
			reply.Answer = rr("nothing.test. 300 IN CNAME gone.test.")
			reply.Rcode = dns.RcodeNameError
		default:
			reply.Answer = rr("other.test. 300 IN TXT poison")
			reply.Extra = append(reply.Extra, rr(q.name+" 300 IN TXT poison", "e.test. 300 IN TXT poison")...)
			reply.Ns = rr(q.name + " 300 IN TXT poison")
		}
		return true
	})
	r := open(t, resolver.Options{}, s.address)
	for name, want := range map[string]string{
		"here.test": `["end"] <nil>`, "there.test": `["asked"] <nil>`,
		"nothing.test": "[] lookup nothing.test: no such name", "poisoned.test": "[] lookup poisoned.test: no such record",
	} {
		got, err := r.Lookups(1).TXT(t.Context(), name)
		if s := fmt.Sprintf("%q %v", got, err); s != want {
			t.Errorf("%s: %s, want %s", name, s, want)
		}
	}
}

// Answers with more records than anybody needs are no answers.
func TestManyRecords(t *testing.T) {
	s := newStandin(t, func(q query, reply *dns.Msg) bool {
		if q.network == "udp" {
			reply.Truncated = true
			return true
		}
		for i := range 2000 {
			reply.Answer = append(reply.Answer, rr(fmt.Sprintf("d.test. 300 IN A 10.0.%d.%d", i/256, i%256))...)
		}
		return true
	})
	_, err := open(t, resolver.Options{}, s.address).Lookups(1).A(t.Context(), "d.test")
	var bare *net.DNSError
	if !errors.As(err, &bare) || !bare.IsTemporary {
		t.Errorf("%v", err)
	}
}

func TestServers(t *testing.T) {
	r, err := resolver.New(resolver.Options{Servers: []string{"192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353"}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := strings.Join(r.Servers(), " "); got != "192.0.2.1:53 192.0.2.1:5353 [2001:db8::1]:53 [2001:db8::1]:5353" {
		t.Error(got)
	}
	if _, err := resolver.New(resolver.Options{Servers: []string{"dns.test"}}); err == nil {
		t.Error("a name was taken")
	}
}

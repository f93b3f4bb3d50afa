package resolver_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"sluice/gateway/resolver"
	"sluice/loadtest/stack"
)

// unboundZone has what a domain may have, and what goes wrong.
const unboundZone = `
  local-zone: "d.test." static
  local-data: 'd.test. 300 IN SOA ns.d.test. root.d.test. 1 2 3 4 60'
  local-data: 'd.test. 300 IN TXT "v=spf1 " "mx -all"'
  local-data: 'd.test. 300 IN MX 10 mx.d.test.'
  local-data: 'mx.d.test. 300 IN A 192.0.2.1'
  local-data: 'mx.d.test. 300 IN AAAA 2001:db8::1'
  local-data: '1.2.0.192.in-addr.arpa. 300 IN PTR mx.d.test.'
  local-zone: "wild.test." redirect
  local-data: 'wild.test. 300 IN TXT "any"'
  local-zone: "refused.test." always_refuse
  local-zone: "lost.test." always_deny
`

// A real resolver, with zones of its own and a server behind it that is slow, fails, and
// has chains of aliases and texts that do not fit into a datagram.
func TestUnbound(t *testing.T) {
	long := strings.Repeat(`"`+strings.Repeat("x", 250)+`" `, 20)
	behind := newStandin(t, func(q query, reply *dns.Msg) bool { return farAnswer(q, reply, long) })
	unbound := stack.Unbound(t, unboundZone, behind.address)
	heard := &observer{}
	r := open(t, resolver.Options{Observer: heard}, unbound.Address)
	l, ctx := r.Lookups(100), t.Context()
	txt := func(name, want, outcome string) {
		t.Helper()
		got, err := l.TXT(ctx, name)
		if s := strings.Join(got, "|"); s != want || heard.last() != "TXT "+outcome {
			t.Errorf("%s: %.100q, %v, heard %s", name, got, err, heard.last())
		}
	}
	txt("d.test", "v=spf1 mx -all", "found")
	txt("D.TEST.", "v=spf1 mx -all", "found hit")
	txt("mx.d.test", "", "nodata")
	txt("gone.d.test", "", "nxdomain")
	txt("a.b.c.wild.test", "any", "found")
	txt("refused.test", "", "refused")
	txt("long.far.test", strings.Repeat("x", 5000), "found")
	txt("chain.far.test", "end", "found")
	txt("circle.far.test", "", "servfail")
	txt("fails.far.test", "", "servfail")
	txt("gone.far.test", "", "nxdomain")
	txt("gone.far.test", "", "nxdomain hit")
	txt("slow.far.test", "late", "found")
	if got, err := l.MX(ctx, "d.test"); err != nil || got[0].Host != "mx.d.test" {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := l.A(ctx, "mx.d.test"); err != nil || fmt.Sprint(got) != "[192.0.2.1]" {
		t.Errorf("%v, %v", got, err)
	}
	impatient := open(t, resolver.Options{Observer: heard, Timeout: 200 * time.Millisecond}, unbound.Address)
	_, err := impatient.Lookups(1).TXT(ctx, "lost.test")
	if heard.last() != "TXT timeout" {
		t.Errorf("lost: %v, heard %s", err, heard.last())
	}
	if err := unbound.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.TXT(ctx, "another.far.test"); err == nil || errors.Is(err, resolver.ErrNoName) {
		t.Errorf("nobody is there, and it is %v", err)
	}
	if !slices.Contains(resolver.Outcomes(), strings.Fields(heard.last())[1]) {
		t.Errorf("heard %s", heard.last())
	}
}

// farAnswer is what the server behind unbound answers.
func farAnswer(q query, reply *dns.Msg, long string) bool {
	reply.Authoritative = true
	switch name := strings.ToLower(q.name); name {
	case "long.far.test.":
		if q.network == "udp" {
			reply.Truncated = true
			return true
		}
		reply.Answer = rr(name + " 300 IN TXT " + long)
	case "chain.far.test.":
		reply.Answer = rr("chain.far.test. 300 IN CNAME c1.far.test.", "c1.far.test. 300 IN CNAME c2.far.test.")
	case "c1.far.test.":
		reply.Answer = rr("c1.far.test. 300 IN CNAME c2.far.test.")
	case "c2.far.test.":
		reply.Answer = rr("c2.far.test. 300 IN TXT end")
	case "circle.far.test.":
		reply.Answer = rr("circle.far.test. 300 IN CNAME c3.far.test.")
	case "c3.far.test.":
		reply.Answer = rr("c3.far.test. 300 IN CNAME circle.far.test.")
	case "fails.far.test.":
		reply.Rcode = dns.RcodeServerFailure
	case "slow.far.test.":
		time.Sleep(300 * time.Millisecond) // less than unbound waits
		reply.Answer = rr("slow.far.test. 300 IN TXT late")
	default:
		reply.Rcode = dns.RcodeNameError
		reply.Ns = rr("far.test. 300 IN SOA ns.far.test. root.far.test. 1 2 3 4 60")
	}
	return true
}

package resolver_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"sluice/gateway/resolver"
)

// bare returns the header of a reply and nothing else, as old servers refuse.
func bare(m *dns.Msg, rcode int) *dns.Msg {
	return &dns.Msg{MsgHdr: dns.MsgHdr{Id: m.Id, Response: true, Rcode: rcode}}
}

// A server that refuses by a header alone is given up at once. What it says is no answer
// about the name: the next server is asked, or the same one again.
func TestBareRefusal(t *testing.T) {
	good := newStandin(t, zoneOf("d.test. 300 IN TXT good"))
	for rcode, want := range map[int]string{
		dns.RcodeFormatError: "TXT refused", dns.RcodeServerFailure: "TXT servfail",
		dns.RcodeNotImplemented: "TXT refused", dns.RcodeRefused: "TXT refused",
	} {
		s := newRawStandin(t, func(w dns.ResponseWriter, m, _ *dns.Msg) { _ = w.WriteMsg(bare(m, rcode)) })
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second) // a server has 20 s
		defer cancel()
		got, err := open(t, resolver.Options{}, s.address, good.address).Lookups(1).TXT(ctx, "d.test")
		if err != nil || !slices.Equal(got, []string{"good"}) || s.networks() != "udp" {
			t.Errorf("%s: %q, %v, by %s", dns.RcodeToString[rcode], got, err, s.networks())
		}
		heard := &observer{}
		_, err = open(t, resolver.Options{Observer: heard}, s.address).Lookups(1).TXT(ctx, "d.test")
		if err == nil || heard.last() != want || s.networks() != "udp udp udp" {
			t.Errorf("%s alone: %v, heard %s, by %s", dns.RcodeToString[rcode], err, heard.last(), s.networks())
		}
	}
}

// A header alone that says that there is nothing, or that somebody else may have sent, is
// no answer.
func TestBareForgery(t *testing.T) {
	for name, forge := range map[string]func(m *dns.Msg) *dns.Msg{
		"no such name": func(m *dns.Msg) *dns.Msg { return bare(m, dns.RcodeNameError) },
		"no records":   func(m *dns.Msg) *dns.Msg { return bare(m, dns.RcodeSuccess) },
		"another number": func(m *dns.Msg) *dns.Msg {
			forged := bare(m, dns.RcodeRefused)
			forged.Id++
			return forged
		},
		"a query": func(m *dns.Msg) *dns.Msg {
			forged := bare(m, dns.RcodeRefused)
			forged.Response = false
			return forged
		},
	} {
		s := newRawStandin(t, func(w dns.ResponseWriter, m, reply *dns.Msg) {
			_ = w.WriteMsg(forge(m))
			reply.Answer = rr("d.test. 300 IN TXT true")
			_ = w.WriteMsg(reply)
		})
		got, err := open(t, resolver.Options{}, s.address).Lookups(1).TXT(t.Context(), "d.test")
		if err != nil || !slices.Equal(got, []string{"true"}) || s.networks() != "udp" {
			t.Errorf("%s: %q, %v, by %s", name, got, err, s.networks())
		}
	}
}

// Whoever guesses the number of a query, and forges a refusal of it, has the server asked
// again.
func TestBareRefusalForged(t *testing.T) {
	var asked atomic.Int64
	s := newRawStandin(t, func(w dns.ResponseWriter, m, reply *dns.Msg) {
		if asked.Add(1) == 1 {
			_ = w.WriteMsg(bare(m, dns.RcodeServerFailure))
			return
		}
		reply.Answer = rr("d.test. 300 IN TXT true")
		_ = w.WriteMsg(reply)
	})
	got, err := open(t, resolver.Options{}, s.address).Lookups(1).TXT(t.Context(), "d.test")
	if err != nil || !slices.Equal(got, []string{"true"}) {
		t.Errorf("%q, %v", got, err)
	}
}

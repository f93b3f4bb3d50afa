package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"sluice/gateway/resolver"
	"sluice/internal/testkit"
)

// All who ask the same at once wait for one query.
func TestSingleFlight(t *testing.T) {
	release := make(chan struct{})
	s := newStandin(t, func(q query, reply *dns.Msg) bool {
		<-release
		reply.Answer = rr("d.test. 300 IN TXT one")
		return true
	})
	r := open(t, resolver.Options{}, s.address)
	impatient, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			ctx := t.Context()
			if i == 0 {
				ctx = impatient
			}
			if got, err := r.Lookups(1).TXT(ctx, "d.test"); (err == nil) != (i > 0) {
				t.Errorf("%d: %q, %v", i, got, err)
			}
		})
	}
	testkit.Eventually(t, "a query", func() bool { return len(s.asked()) == 1 })
	cancel() // who began it may leave
	close(release)
	all.Wait()
	if n := len(s.asked()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// The lookups of a message and the questions of all are bounded.
func TestBounds(t *testing.T) {
	s := newStandin(t, func(query, *dns.Msg) bool { return false })
	heard := &observer{}
	r := open(t, resolver.Options{Observer: heard}, s.address)
	ctx, cancel := context.WithCancel(t.Context())
	l := r.Lookups(resolver.MaxInFlight)
	var all sync.WaitGroup
	for i := range resolver.MaxInFlight {
		all.Go(func() { _, _ = l.TXT(ctx, fmt.Sprintf("n%d.test", i)) })
	}
	testkit.Eventually(t, "all queries in flight", func() bool { return r.InFlight() == resolver.MaxInFlight })
	if _, err := r.Lookups(1).TXT(t.Context(), "more.test"); !errors.Is(err, resolver.ErrBusy) || heard.last() != "TXT busy" {
		t.Errorf("%v, heard %s", err, heard.last())
	}
	if _, err := l.TXT(t.Context(), "more.test"); !errors.Is(err, resolver.ErrBudget) || heard.last() != "TXT budget" {
		t.Errorf("%v, heard %s", err, heard.last())
	}
	cancel()
	all.Wait()
	if got := heard.last(); got != "TXT canceled" {
		t.Errorf("heard %q", got)
	}
	r.Close()
	if n := r.InFlight(); n != 0 {
		t.Errorf("%d questions outlive Close", n)
	}
	if _, err := r.Lookups(1).TXT(t.Context(), "more.test"); !errors.Is(err, resolver.ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	s := newStandin(t, func(query, *dns.Msg) bool { return false })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := open(t, resolver.Options{}, s.address).Lookups(1).TXT(ctx, "d.test")
	bare, ok := err.(*net.DNSError) //nolint:errorlint // libraries do not unwrap
	if !ok || !bare.IsTimeout || !bare.IsTemporary {
		t.Errorf("%#v", err)
	}
}

// What the product pays for a lookup: from the cache, and from a server on this machine.
func BenchmarkLookup(b *testing.B) {
	for name, ttl := range map[string]string{"cache": "3600", "server": "0"} {
		b.Run(name, func(b *testing.B) {
			s := newStandin(b, func(q query, reply *dns.Msg) bool {
				reply.Answer = rr(q.name + " " + ttl + ` IN TXT "v=spf1 ip4:192.0.2.0/24 -all"`)
				return true
			})
			l := open(b, resolver.Options{}, s.address).Lookups(1 << 40)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.TXT(b.Context(), "d.test"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Whoever asks and does not wait leaves room for others.
func TestUnwantedQuestions(t *testing.T) {
	s := newStandin(t, func(q query, reply *dns.Msg) bool {
		reply.Answer = rr("wanted.test. 300 IN TXT one")
		return strings.EqualFold(q.name, "wanted.test.")
	})
	r := open(t, resolver.Options{}, s.address)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range resolver.MaxInFlight {
		all.Go(func() { _, _ = r.Lookups(1).TXT(ctx, fmt.Sprintf("n%d.test", i)) })
	}
	testkit.Eventually(t, "all queries in flight", func() bool { return r.InFlight() == resolver.MaxInFlight })
	cancel()
	all.Wait()
	if n := r.InFlight(); n != resolver.MaxInFlight/4 {
		t.Errorf("%d questions are in flight that nobody waits for", n)
	}
	if got, err := r.Lookups(1).TXT(t.Context(), "wanted.test"); err != nil || len(got) != 1 {
		t.Errorf("%q, %v", got, err)
	}
}

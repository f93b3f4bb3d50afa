package resolver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/miekg/dns"

	"sluice/gateway/verify/txt"
)

// Lookups are what one message may look up. Answers from the cache count too, so that a
// verdict does not depend on what others have asked.
//
// Each method returns records, or a *net.DNSError and nothing else: libraries do not
// unwrap. With IsNotFound there are no such records (errors.Is tells ErrNoName from
// ErrNoData); with IsTemporary nobody knows, and with IsTimeout too because of the time.
// Records are shared and must not be changed. Names in them are in lower case, without the
// last dot.
type Lookups struct {
	r    *Resolver
	left atomic.Int64
}

// Lookups returns those of a message, which may look up n times.
func (r *Resolver) Lookups(n int) *Lookups {
	l := &Lookups{r: r}
	l.left.Store(int64(n))
	return l
}

// Left returns how often the message may still look up.
func (l *Lookups) Left() int { return int(max(l.left.Load(), 0)) }

// TXT returns the texts of a name, each with its strings joined.
func (l *Lookups) TXT(ctx context.Context, name string) ([]string, error) {
	a, err := l.find(ctx, name, dns.TypeTXT)
	return a.texts, err
}

// LookupTXT is TXT as the checks of a message ask (txt.Resolver).
func (l *Lookups) LookupTXT(ctx context.Context, name string) ([]string, txt.Outcome) {
	texts, err := l.TXT(ctx, name)
	return texts, TextOutcome(err)
}

// TextOutcome returns what the error of a lookup of texts says to the checks of a message.
func TextOutcome(err error) txt.Outcome {
	switch {
	case err == nil:
		return txt.Found
	case errors.Is(err, ErrNoName):
		return txt.NXDomain
	case errors.Is(err, ErrNoData):
		return txt.Absent
	}
	return txt.Failed
}

// A returns the IPv4 addresses of a name.
func (l *Lookups) A(ctx context.Context, name string) ([]netip.Addr, error) {
	a, err := l.find(ctx, name, dns.TypeA)
	return a.addresses, err
}

// AAAA returns the IPv6 addresses of a name.
func (l *Lookups) AAAA(ctx context.Context, name string) ([]netip.Addr, error) {
	a, err := l.find(ctx, name, dns.TypeAAAA)
	return a.addresses, err
}

// MX returns the mail exchangers of a name, as they came. A null MX (RFC 7505) is one with
// an empty host.
func (l *Lookups) MX(ctx context.Context, name string) ([]net.MX, error) {
	a, err := l.find(ctx, name, dns.TypeMX)
	return a.mxs, err
}

// PTR returns the names of an address, which anybody may have chosen.
func (l *Lookups) PTR(ctx context.Context, address netip.Addr) ([]string, error) {
	reverse, err := dns.ReverseAddr(address.Unmap().WithZone("").String())
	if err != nil {
		return nil, dnsError(address.String(), ErrNoName)
	}
	a, err := l.find(ctx, reverse, dns.TypePTR)
	return a.texts, err
}

func (l *Lookups) find(ctx context.Context, name string, qtype uint16) (answer, error) {
	if l.left.Add(-1) < 0 {
		l.r.observe(qtype, ErrBudget, fromNobody, 0)
		return answer{}, dnsError(name, ErrBudget)
	}
	found := l.r.lookup(ctx, name, qtype)
	if found.err != nil {
		return answer{}, dnsError(name, found.err)
	}
	return *found, nil
}

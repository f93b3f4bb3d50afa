package spf_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"sluice/gateway/resolver"
	"sluice/gateway/verify/spf"
)

// zone is a DNS of lines "name TYPE data": TXT, A, AAAA, MX, PTR (the name is the address),
// and ERR, with the type that nobody answers.
type zone struct {
	records map[string][]string // by "name TYPE"
	broken  map[string]bool
	asked   []string
}

func newZone(text string) *zone {
	z := &zone{records: map[string][]string{}, broken: map[string]bool{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		kind, data, _ := strings.Cut(rest, " ")
		if kind == "ERR" {
			z.broken[name+" "+data] = true
			continue
		}
		z.records[name+" "+kind] = append(z.records[name+" "+kind], data)
	}
	return z
}

func (z *zone) ask(ctx context.Context, name, kind string) ([]string, error) {
	key := strings.ToLower(name) + " " + kind
	z.asked = append(z.asked, key)
	switch {
	case ctx.Err() != nil:
		return nil, &net.DNSError{Err: ctx.Err().Error(), IsTimeout: true}
	case z.broken[key]:
		return nil, &net.DNSError{Err: "server failure", IsTemporary: true}
	case len(z.records[key]) == 0:
		return nil, &net.DNSError{Err: "no such record", IsNotFound: true}
	}
	return z.records[key], nil
}

func (z *zone) TXT(ctx context.Context, name string) ([]string, error) {
	return z.ask(ctx, name, "TXT")
}

func (z *zone) A(ctx context.Context, name string) ([]netip.Addr, error) {
	return z.addresses(ctx, name, "A")
}

func (z *zone) AAAA(ctx context.Context, name string) ([]netip.Addr, error) {
	return z.addresses(ctx, name, "AAAA")
}

func (z *zone) addresses(ctx context.Context, name, kind string) ([]netip.Addr, error) {
	found, err := z.ask(ctx, name, kind)
	addresses := make([]netip.Addr, len(found))
	for i, text := range found {
		addresses[i] = netip.MustParseAddr(text)
	}
	return addresses, err
}

func (z *zone) MX(ctx context.Context, name string) ([]net.MX, error) {
	found, err := z.ask(ctx, name, "MX")
	hosts := make([]net.MX, len(found))
	for i, text := range found {
		hosts[i].Host = strings.TrimSuffix(text, ".")
	}
	return hosts, err
}

func (z *zone) PTR(ctx context.Context, address netip.Addr) ([]string, error) {
	return z.ask(ctx, address.String(), "PTR")
}

var errOdd = errors.New("odd")

// odd fails with an error that is of no DNS.
type odd struct{ *zone }

func (odd) TXT(context.Context, string) ([]string, error) { return nil, errOdd }

// The lookups of a message are what a check asks.
var _ spf.Resolver = (*resolver.Lookups)(nil)

package verify_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"net"
	"net/netip"
	"strings"
	"sync"

	"sluice/gateway/resolver"
	"sluice/gateway/verify"
	"sluice/gateway/verify/txt"
)

// zone is a DNS of lines "name TYPE data". The type ERR says that nobody answers about the
// name. Names that are neither there nor above one that is do not exist.
type zone struct {
	lines []string

	mu    sync.Mutex
	asked []string
}

var (
	_ verify.Resolver = (*zone)(nil)
	_ verify.Resolver = (*resolver.Lookups)(nil)
)

func newZone(text string) *zone { return &zone{lines: strings.Split(text, "\n")} }

func (z *zone) ask(ctx context.Context, name, kind string) ([]string, error) {
	z.mu.Lock()
	z.asked = append(z.asked, name+" "+kind)
	z.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, &net.DNSError{Err: err.Error(), IsTimeout: true, IsTemporary: true}
	}
	var found []string
	why := resolver.ErrNoName
	for _, line := range z.lines {
		at, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch has, data, _ := strings.Cut(rest, " "); {
		case at == name && has == "ERR":
			return nil, &net.DNSError{Err: "server failure", IsTemporary: true}
		case at == name && has == kind:
			found = append(found, data)
		case at == name || strings.HasSuffix(at, "."+name):
			why = resolver.ErrNoData
		}
	}
	if found == nil {
		return nil, &net.DNSError{Err: why.Error(), UnwrapErr: why, IsNotFound: true}
	}
	return found, nil
}

func (z *zone) TXT(ctx context.Context, name string) ([]string, error) {
	return z.ask(ctx, name, "TXT")
}

func (z *zone) LookupTXT(ctx context.Context, name string) ([]string, txt.Outcome) {
	texts, err := z.ask(ctx, name, "TXT")
	return texts, resolver.TextOutcome(err)
}

func (z *zone) A(ctx context.Context, name string) ([]netip.Addr, error) {
	return z.addresses(ctx, name, "A")
}

func (z *zone) AAAA(ctx context.Context, name string) ([]netip.Addr, error) {
	return z.addresses(ctx, name, "AAAA")
}

func (z *zone) addresses(ctx context.Context, name, kind string) ([]netip.Addr, error) {
	found, err := z.ask(ctx, name, kind)
	var addresses []netip.Addr
	for _, text := range found {
		addresses = append(addresses, netip.MustParseAddr(text))
	}
	return addresses, err
}

func (z *zone) MX(ctx context.Context, name string) ([]net.MX, error) {
	found, err := z.ask(ctx, name, "MX")
	var hosts []net.MX
	for _, host := range found {
		hosts = append(hosts, net.MX{Host: host})
	}
	return hosts, err
}

func (z *zone) PTR(ctx context.Context, address netip.Addr) ([]string, error) {
	return z.ask(ctx, address.String(), "PTR")
}

var testKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// keyRecord is the record of testKey.
var keyRecord = "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(testKey.Public().(ed25519.PublicKey))

// signed returns a mail with a signature of its From by testKey, at k._domainkey of a domain.
func signed(domain, from, body string) string {
	hash := sha256.Sum256([]byte(body))
	field := "DKIM-Signature: v=1; a=ed25519-sha256; d=" + domain + "; s=k; h=from; bh=" +
		base64.StdEncoding.EncodeToString(hash[:]) + "; b="
	digest := sha256.Sum256([]byte("From: " + from + "\r\n" + field))
	return field + base64.StdEncoding.EncodeToString(ed25519.Sign(testKey, digest[:])) + "\r\nFrom: " + from + "\r\n\r\n" + body
}

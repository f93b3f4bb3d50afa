package verify

import (
	"context"
	"errors"
	"net"
	"sync"

	"sluice/gateway/resolver"
	"sluice/gateway/verify/iprev"
	"sluice/gateway/verify/spf"
	"sluice/gateway/verify/txt"
)

// Resolver is the DNS, as one message may ask it: *resolver.Lookups, or what answers as it
// does. It is safe for concurrent use.
type Resolver interface {
	spf.Resolver
	iprev.Resolver
}

// answers keeps what a message was answered, so that Fetch and End ask once.
type answers struct {
	dns Resolver

	mu    sync.Mutex
	known map[string]answer
}

// answer is what LookupTXT returned.
type answer struct {
	texts   []string
	outcome txt.Outcome
}

// LookupTXT implements txt.Resolver. What failed may be asked again.
func (a *answers) LookupTXT(ctx context.Context, name string) ([]string, txt.Outcome) {
	a.mu.Lock()
	known, ok := a.known[name]
	a.mu.Unlock()
	if ok {
		return known.texts, known.outcome
	}
	texts, err := a.dns.TXT(ctx, name)
	got := answer{texts, outcome(err)}
	if got.outcome == txt.Found && len(texts) == 0 {
		got.outcome = txt.Absent
	}
	if got.outcome != txt.Failed {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.known == nil {
			a.known = map[string]answer{}
		}
		a.known[name] = got
	}
	return got.texts, got.outcome
}

// outcome returns what an error of a lookup says.
func outcome(err error) txt.Outcome {
	var bare *net.DNSError
	switch {
	case err == nil:
		return txt.Found
	case errors.Is(err, resolver.ErrNoName):
		return txt.NXDomain
	case errors.As(err, &bare) && bare.IsNotFound:
		return txt.Absent
	default:
		return txt.Failed
	}
}

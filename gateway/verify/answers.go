package verify

import (
	"context"
	"sync"

	"sluice/gateway/verify/iprev"
	"sluice/gateway/verify/spf"
	"sluice/gateway/verify/txt"
)

// Resolver is the DNS, as one message may ask it: *resolver.Lookups, or what answers as it
// does. It is safe for concurrent use.
type Resolver interface {
	spf.Resolver
	iprev.Resolver
	txt.Resolver
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
	texts, outcome := a.dns.LookupTXT(ctx, name)
	got := answer{texts, outcome}
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

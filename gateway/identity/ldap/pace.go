package ldap

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// pace remembers how long the binds of users took who exist. A directory that hashes
// passwords slowly answers sooner for an entry that does not exist, and would tell so.
type pace struct {
	mu    sync.Mutex
	took  [64]time.Duration
	noted int
}

// timerGrain is what timers are exact to. A wait for less would be longer than what it hides.
const timerGrain = time.Millisecond

// note remembers one bind, in place of the one of 64 before.
func (p *pace) note(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.took[p.noted%len(p.took)] = took
	p.noted++
}

// wait waits until a bind that began then has taken as long as one of those remembered, or
// until ctx ends.
func (p *pace) wait(ctx context.Context, began time.Time) error {
	p.mu.Lock()
	var like time.Duration
	if n := min(p.noted, len(p.took)); n > 0 {
		like = p.took[rand.IntN(n)]
	}
	p.mu.Unlock()
	left := time.Until(began.Add(like))
	if left < timerGrain {
		return ctx.Err()
	}
	rest := time.NewTimer(left)
	defer rest.Stop()
	select {
	case <-rest.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Package auth has attempts to authenticate judged beside the event loops: it asks the
// backends in their order, bounds what attempts can take of the process and of a backend,
// and has who fails wait ever longer.
package auth

import (
	"context"
	"time"

	"sluice/gateway/driver"
	"sluice/gateway/identity"
	"sluice/gateway/places"
	"sluice/gateway/session"
	"sluice/internal/panics"
	"sluice/pipeline/inflight"
)

// Source is a backend, and how many attempts it judges at a time.
type Source struct {
	identity.Backend
	Concurrency int
	// Computes reports that the backend takes processors from the process. Then a place for an
	// attempt stays empty for as long as the last one there has taken, so that a flood of
	// attempts has half of what those places could take.
	Computes bool
}

// Options are what a Pool needs.
type Options struct {
	// Sources are asked in this order: the first that knows the user decides.
	Sources []Source
	// Attempts bounds those that have begun and not ended. One address has an eighth of
	// them at most; one that has failed lately finds room only while half of them are free.
	// Each costs a goroutine and its secret.
	Attempts int
	// Cache is for how long a password that was accepted is accepted again without a
	// question, 0 for never.
	Cache time.Duration
	// Judged is called with the time that a backend took for a verdict. It may be nil.
	Judged func(backend string, seconds float64)
}

// Pool judges attempts. Begin is called on event loops and does not block.
type Pool struct {
	options  Options
	attempts *places.Places
	slots    []chan struct{} // by source: an element for each attempt that it judges
	rests    []rest          // by source
	failures *failures
	cache    *cache
	life     *inflight.Tracker
	ctx      context.Context // ends with Close
	abort    context.CancelFunc
}

// NewPool returns a pool without attempts.
func NewPool(options Options) *Pool {
	p := &Pool{
		options: options, attempts: places.New(options.Attempts), failures: newFailures(), cache: newCache(options.Cache),
		life: inflight.New(),
	}
	p.ctx, p.abort = context.WithCancel(context.Background())
	p.rests = make([]rest, len(options.Sources))
	for _, s := range options.Sources {
		p.slots = append(p.slots, make(chan struct{}, max(s.Concurrency, 1)))
	}
	return p
}

// Begun returns the number of attempts that have begun and not ended.
func (p *Pool) Begun() int64 { return p.attempts.Taken() }

// Forget forgets what was accepted: from now on the backends are asked again.
func (p *Pool) Forget() { p.cache.clear() }

// Close refuses attempts from now on and waits until all have ended, for limit and then
// until the backends have noticed. It closes the backends.
func (p *Pool) Close(limit time.Duration) error {
	if !p.life.Close() {
		return nil
	}
	p.life.Drain(limit, p.abort)
	var first error
	for _, s := range p.options.Sources {
		if err := s.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Begin implements driver.Authenticator.
func (p *Pool) Begin(a *driver.Attempt) bool {
	if !p.life.Begin() || p.suspect(a) || !p.attempts.Take(a.Client) {
		p.life.Done(1)
		return false
	}
	go func() { p.end(a, panics.Try(panics.Identity, func() error { return p.run(a) })) }()
	return true
}

// suspect reports whether there is no room for an attempt because its client has failed
// lately. The name does not count: anybody can fail with it.
func (p *Pool) suspect(a *driver.Attempt) bool {
	return p.attempts.Taken() >= p.attempts.Limit()/2 && p.failures.known(a.Client, time.Now())
}

// run judges an attempt.
func (p *Pool) run(a *driver.Attempt) error {
	ctx, cancel := context.WithTimeout(p.ctx, a.Limit)
	defer cancel()
	a.Answer, a.Delay = p.answer(ctx, a)
	return nil
}

// end takes an attempt home, whose judging may have made a panic.
func (p *Pool) end(a *driver.Attempt, err error) {
	if err != nil {
		a.Answer = session.Answer{Reason: string(identity.ReasonInternal), Err: err}
	}
	a.Wipe()
	p.attempts.Give(a.Client)
	a.Home(a)
	p.life.Done(1)
}

// answer judges an attempt, and returns after which time its client may know.
func (p *Pool) answer(ctx context.Context, a *driver.Attempt) (session.Answer, time.Duration) {
	of := &identity.Attempt{
		Mechanism: a.Mechanism.String(), User: a.User, Secret: a.Secret, Token: a.Mechanism.Token(), Client: a.Client,
	}
	found, backend := p.judge(ctx, of, a.Acts)
	answer := session.Answer{
		Identity: found.Identity, Backend: backend, Issuer: found.Issuer, Reason: string(found.Reason), Err: found.Err,
	}
	switch now := time.Now(); found.Verdict {
	case identity.Accepted:
		answer.Verdict = session.AuthAccepted
		p.failures.forgive(a.User)
	case identity.Refused, identity.Unknown:
		answer.Verdict = session.AuthRefused
		return answer, p.failures.failed(a.User, a.Client, now)
	}
	return answer, 0
}

// judge returns the verdict on an attempt and whose it is, "" for nobody's.
func (p *Pool) judge(ctx context.Context, a *identity.Attempt, acts string) (identity.Answer, string) {
	if reason := refusedUnasked(a, acts); reason != "" {
		return identity.Answer{Verdict: identity.Refused, Reason: reason}, ""
	}
	known := p.cache.find(a)
	if known.found {
		return known.answer, known.backend
	}
	found, backend := identity.Answer{Verdict: identity.Refused, Reason: identity.ReasonUnknownUser}, ""
	for i, s := range p.options.Sources {
		if s.Tokens() != a.Token {
			continue
		}
		found, backend = p.ask(ctx, i, a), s.Name()
		if found.Verdict != identity.Unknown {
			break
		}
	}
	if found.Verdict == identity.Accepted {
		p.cache.keep(a, found, backend, known)
	}
	return found, backend
}

// ask asks a source, once it may.
func (p *Pool) ask(ctx context.Context, i int, a *identity.Attempt) (found identity.Answer) {
	s := p.options.Sources[i]
	select {
	case p.slots[i] <- struct{}{}:
	case <-ctx.Done():
		return identity.Answer{Reason: identity.ReasonBusy, Err: ctx.Err()}
	}
	began := time.Now()
	defer func() { p.leave(i, time.Since(began)) }()
	if found, resting := p.rests[i].find(began); resting {
		return found
	}
	found = careful(ctx, s.Backend, a)
	if p.options.Judged != nil {
		p.options.Judged(s.Name(), time.Since(began).Seconds())
	}
	p.rests[i].begin(found, time.Now())
	return found
}

// leave returns the place of an attempt at a source.
func (p *Pool) leave(i int, took time.Duration) {
	if !p.options.Sources[i].Computes {
		<-p.slots[i]
		return
	}
	time.AfterFunc(took, func() { <-p.slots[i] })
}

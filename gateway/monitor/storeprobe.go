package monitor

import (
	"context"
	"log/slog"
	"time"
)

// The bounds of a probe's time, which is an interval where that lies between them:
// less would take a store under load for one that is away, and more would keep
// senders waiting for a 451 who could have had their 421.
const (
	minProbe = time.Second
	maxProbe = 5 * time.Second
	// probeLogEvery is the time between two log lines on a store that stays away: its
	// error may have become another.
	probeLogEvery = time.Minute
)

// StoreProbe asks the object store whether it can be used while the mail does not
// show it: from the start, and from a request that failed or an interval through
// which requests waited without an answer, until a message is stored. A gate that
// went by failed requests alone would need ten senders to be told 451 after their
// whole message, and, having turned away all mail, would learn of nothing any more.
//
// All but ask belongs to the goroutine of Monitor.
type StoreProbe struct {
	probe    func(ctx context.Context) error // nil for a store that cannot be away
	limit    time.Duration                   // of one probe
	pressure *StoreStats
	logger   *slog.Logger
	answered chan error

	inFlight bool  // a probe is
	proven   bool  // by a message that was stored
	stored   int64 // at the last sample
	failed   int64
	waited   bool // messages did, at the last sample

	away       error // why the store cannot be used; nil when it is not known not to
	lastLogged time.Time
}

// NewStoreProbe returns the probe of a store of which p has the statistics. probe is nil
// for a store that cannot be away; it has interval for an answer, within bounds.
func NewStoreProbe(probe func(context.Context) error, p *StoreStats, interval time.Duration, logger *slog.Logger) *StoreProbe {
	return &StoreProbe{
		probe: probe, limit: min(max(interval, minProbe), maxProbe), pressure: p, logger: logger,
		answered: make(chan error, 1),
	}
}

// sample is called each interval. It begins a probe when one is wanted and none is
// in flight.
func (s *StoreProbe) sample(ctx context.Context, now time.Time) {
	if s.inFlight {
		return
	}
	if s.needed() {
		s.inFlight = true
		go func() { s.answered <- s.ask(ctx) }()
	} else {
		s.setState(nil, now)
	}
}

// needed reports whether the mail leaves the store in doubt.
func (s *StoreProbe) needed() bool {
	if s.probe == nil {
		return false
	}
	meter, waits := s.pressure.meter, s.pressure.depth() > 0
	stored, failed := meter.stored.Load(), meter.failed.Load()
	switch {
	case stored > s.stored || failed > s.failed:
		s.proven = meter.good.Load()
	case waits && s.waited:
		s.proven = false
	}
	s.stored, s.failed, s.waited = stored, failed, waits
	return !s.proven
}

func (s *StoreProbe) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	return s.probe(ctx)
}

// take takes the result of a probe. A probe that was cut short proves nothing. One that
// failed proves less than a message that was stored meanwhile.
func (s *StoreProbe) take(ctx context.Context, err error, now time.Time) {
	s.inFlight = false
	if ctx.Err() != nil {
		return
	}
	if meter := s.pressure.meter; err != nil && meter.stored.Load() > s.stored && meter.good.Load() {
		err = nil
	}
	s.setState(err, now)
}

// setState notes whether the store can be used. Requests that failed while it could not
// no longer count once it can.
func (s *StoreProbe) setState(err error, now time.Time) {
	was := s.away
	s.away = err
	switch {
	case err != nil && (was == nil || now.Sub(s.lastLogged) >= probeLogEvery):
		s.lastLogged = now
		s.logger.Error("the object store cannot be used: no mail is taken until it can", "err", err)
	case err == nil && was != nil:
		s.pressure.forget()
		s.logger.Info("the object store can be used again")
	}
}

// end waits for the probe in flight, whose context has ended.
func (s *StoreProbe) end(ctx context.Context) {
	if s.inFlight {
		s.take(ctx, <-s.answered, s.lastLogged)
	}
}

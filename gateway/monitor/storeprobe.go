package monitor

import (
	"context"
	"log/slog"
	"time"

	"sluice/internal/panics"
)

// Bounds of the time limit of a probe, which is the interval if that lies between them. A
// shorter limit would take a store under load for an unavailable one. A longer one would
// keep senders waiting for a 451 who could have had their 421.
const (
	minProbe = time.Second
	maxProbe = 5 * time.Second
	// probeLogEvery is the time between two log lines on a store that stays unavailable,
	// since its error may change.
	probeLogEvery = time.Minute
)

// StoreProbe asks the object store whether it is available while the mail does not show
// it. That is the case from the start, from a failed request, and from an interval in
// which requests waited without an answer, each until a message is stored. If the gate
// considered only failed requests, ten senders would get a 451 after their whole message
// before it shut. And once it had shed all mail, it would never learn that the store is
// back.
//
// All methods except ask belong to the goroutine of Monitor.
type StoreProbe struct {
	probe    func(ctx context.Context) error // nil for a store that is always available
	limit    time.Duration                   // time limit of one probe
	pressure *StoreStats
	logger   *slog.Logger
	answered chan error

	inFlight bool  // a probe is in flight
	proven   bool  // a stored message has shown that the store is available
	stored   int64 // as of the last sample
	failed   int64
	waited   bool // messages waited at the last sample

	away       error // why the store is unavailable; nil if it is not known to be
	lastLogged time.Time
}

// NewStoreProbe returns the probe of the store whose statistics are p. probe is nil for a
// store that is always available. A probe has interval to succeed, within bounds.
func NewStoreProbe(probe func(context.Context) error, p *StoreStats, interval time.Duration, logger *slog.Logger) *StoreProbe {
	return &StoreProbe{
		probe: probe, limit: min(max(interval, minProbe), maxProbe), pressure: p, logger: logger,
		answered: make(chan error, 1),
	}
}

// sample is called each interval. It starts a probe if one is needed and none is in
// flight.
func (s *StoreProbe) sample(ctx context.Context, now time.Time) {
	if s.inFlight {
		return
	}
	if s.needed() {
		s.inFlight = true
		go func() { s.answered <- panics.Try(panics.Monitor, func() error { return s.ask(ctx) }) }()
	} else {
		s.setState(nil, now)
	}
}

// needed reports whether the mail leaves the store's availability in doubt.
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

// finish handles the result of a probe. It ignores a probe that was interrupted, and the
// failure of a probe during which a message was stored.
func (s *StoreProbe) finish(ctx context.Context, err error, now time.Time) {
	s.inFlight = false
	if ctx.Err() != nil {
		return
	}
	if meter := s.pressure.meter; err != nil && meter.stored.Load() > s.stored && meter.good.Load() {
		err = nil
	}
	s.setState(err, now)
}

// setState records whether the store is available. When the store becomes available
// again, earlier failures of requests are discarded.
func (s *StoreProbe) setState(err error, now time.Time) {
	was := s.away
	s.away = err
	switch {
	case err != nil && (was == nil || now.Sub(s.lastLogged) >= probeLogEvery):
		s.lastLogged = now
		s.logger.Error("the object store cannot be used: no mail is taken until it can", "err", err)
	case err == nil && was != nil:
		s.pressure.reset()
		s.logger.Info("the object store can be used again")
	}
}

// wait waits for the probe in flight, whose context has ended.
func (s *StoreProbe) wait(ctx context.Context) {
	if s.inFlight {
		s.finish(ctx, <-s.answered, s.lastLogged)
	}
}

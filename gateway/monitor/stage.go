package monitor

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

// Bounds of the time limit of a probe, which is the interval if that lies between them. A
// shorter limit would take a stage under load for an unavailable one. A longer one would
// keep senders waiting for a 451 who could have had their 421.
const (
	minProbe = 2 * time.Second
	maxProbe = 5 * time.Second
	// logEvery is the least time between two log lines that say why a stage cannot be
	// used.
	logEvery = time.Minute
	// checkEvery is the time between two looks at the stages, and so between two trials:
	// at most two messages a second are stored while the event log cannot be used.
	checkEvery = 500 * time.Millisecond
	// failuresInRow is the number of failures without a success between them from which a
	// stage cannot be used. The next success ends that, so a few that failed together
	// under load cost nothing.
	failuresInRow = 3
	// stalledAfter is the time without any result, while messages wait for one, from which
	// a stage cannot be used although its probe succeeds. A cluster that moves the
	// partitions of a lost broker takes less.
	stalledAfter = 15 * time.Second
)

// StageOptions are the settings of a Stage.
type StageOptions struct {
	Name  string        // for log lines
	Cause string        // of shedding while it cannot be used
	Depth func() int64  // messages that wait for a result; nil if none ever waits
	Slow  time.Duration // a success after this time came too late for its sender
	// Probe asks whether the stage is available; nil if that shows by its results alone.
	Probe    func(ctx context.Context) error
	Interval time.Duration // between two probes
	Off      bool          // the gate ignores the stage
	Logger   *slog.Logger
}

// Stage is the object store or the event log as the gate sees it. It can be used unless
// its probe failed last, its last results were all failures, or none has come for long.
//
// The probe is asked while the mail does not show that the stage is available. That is
// the case from the start, from a failed result, and while messages wait without a
// result, each until there is a success. If the gate considered only failures, each
// sender of the moment would get a 451 after its whole message before it shut. And once
// it had shed all mail, it would never learn that the stage is back.
//
// A probe need not prove enough: brokers may answer it and refuse every event. So while a
// stage is available and fails, two messages a second are let through as trials.
//
// Usable, take and trial are for event loops and any other goroutine. All other methods
// except ask belong to the goroutine of Monitor.
type Stage struct {
	StageOptions
	meter  meter
	away   atomic.Bool  // the last probe failed
	trials atomic.Int32 // trials that may begin now

	askedAt  time.Time
	inFlight bool  // a probe is in flight
	proven   bool  // a success has shown that the stage is available
	done     int64 // as of the last check
	failed   int64
	waited   bool      // messages waited at the last check
	resultAt time.Time // when there was a result last, or nobody waited

	probeErr   error // of the last probe
	down       bool  // it could not be used at the last check
	logged     bool  // and that was logged
	lastLogged time.Time
	lastCause  string // as it was logged

	sampledAt time.Time
	age       float64
}

// NewStage returns a stage of which nothing is known.
func NewStage(o StageOptions) *Stage {
	s := &Stage{StageOptions: o}
	s.meter.slow = o.Slow
	return s
}

// Usable reports whether the stage can be used, as far as is known.
func (s *Stage) Usable() bool {
	return s.Off || !s.away.Load() && s.meter.streak.Load() < failuresInRow && !s.meter.stalled.Load()
}

// trial reports whether a trial may begin while the stage cannot be used.
func (s *Stage) trial() bool { return !s.away.Load() && s.trials.Load() > 0 }

// take begins a trial, if one may begin.
func (s *Stage) take() bool {
	return s.trial() && s.trials.CompareAndSwap(1, 0)
}

// limit returns the time limit of one probe.
func (s *Stage) limit() time.Duration { return min(max(s.Interval, minProbe), maxProbe) }

// check is called every checkEvery. It reports whether the stage must be probed now.
func (s *Stage) check(now time.Time) (probe bool) {
	s.trials.Store(1)
	switch {
	case s.inFlight:
	case !s.inDoubt(now):
		s.setAvailable(nil)
	case now.Sub(s.askedAt) >= s.pause():
		s.askedAt, s.inFlight = now, true
		probe = true
	}
	return probe
}

// inDoubt reports whether the mail leaves it open whether the stage is available.
func (s *Stage) inDoubt(now time.Time) bool {
	if s.Probe == nil || s.Off {
		return false
	}
	waits := s.Depth() > 0
	done, failed := s.meter.done.Load(), s.meter.failed.Load()
	switch {
	case done > s.done || failed > s.failed:
		s.proven, s.resultAt = s.meter.good(), now
	case waits && s.waited:
		s.proven = false
		if now.Sub(s.resultAt) >= stalledAfter {
			s.meter.stalled.Store(true)
		}
	default:
		s.resultAt = now
	}
	s.done, s.failed, s.waited = done, failed, waits
	return !s.proven
}

// pause returns the time between two probes: the interval while nobody waits for their
// result.
func (s *Stage) pause() time.Duration {
	if s.Usable() && !s.waited {
		return s.Interval
	}
	return min(s.Interval, time.Second)
}

func (s *Stage) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.limit())
	defer cancel()
	return s.Probe(ctx)
}

// finish handles the result of a probe. It ignores a probe that was interrupted, and the
// failure of a probe during which there was a success.
func (s *Stage) finish(ctx context.Context, err error) {
	s.inFlight = false
	if ctx.Err() != nil {
		return
	}
	if err != nil && s.meter.done.Load() > s.done && s.meter.good() {
		err = nil
	}
	s.setAvailable(err)
}

// setAvailable records whether the stage is available. When it is available again,
// earlier failures are discarded.
func (s *Stage) setAvailable(err error) {
	was := s.probeErr
	if s.probeErr = err; err == nil && was != nil {
		s.meter.reset()
	}
	s.away.Store(err != nil)
}

// follow logs when the stage begins and ends to be unusable, and reports either. A stage
// that comes and goes, or stays away for changing reasons, has one line a minute.
func (s *Stage) follow(now time.Time) (changed bool) {
	down := !s.Usable()
	changed, s.down = down != s.down, down
	switch {
	case changed && !down:
		s.meter.reset()
		if s.logged {
			s.logged = false
			s.Logger.Info("the " + s.Name + " can be used again")
		}
	case !down:
	case s.lastLogged.IsZero() || now.Sub(s.lastLogged) >= logEvery:
		err := s.reason()
		if s.logged && err.Error() == s.lastCause {
			return changed
		}
		s.logged, s.lastLogged, s.lastCause = true, now, err.Error()
		s.Logger.Error("the "+s.Name+" cannot be used: no mail is taken until it can", "err", err)
	}
	return changed
}

var errStalled = errors.New("no answers, though it is available")

// reason returns why the stage cannot be used.
func (s *Stage) reason() error {
	if s.probeErr != nil {
		return s.probeErr
	}
	if s.meter.good() {
		return errStalled
	}
	return *s.meter.failure.Load()
}

// Sample returns the time in seconds that a message waits for the stage, and the fraction
// of its recent results that were failures, which is 1 while it cannot be used. The time
// grows while messages wait and no result arrives.
func (s *Stage) Sample(now time.Time) (age, errors float64) {
	slowest, results, errors := s.meter.sample()
	switch {
	case s.Depth == nil || s.Depth() == 0:
		s.age = 0
	case results > 0:
		s.age = slowest
	case !s.sampledAt.IsZero():
		s.age += max(0, now.Sub(s.sampledAt).Seconds())
	}
	s.sampledAt = now
	if s.down {
		errors = 1
	}
	return s.age, errors
}

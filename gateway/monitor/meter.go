package monitor

import (
	"errors"
	"math"
	"sync/atomic"
	"time"

	"sluice/pipeline"
)

// meter counts the results of one stage. Its method result is called on event loops, the
// others by Monitor.
type meter struct {
	slow         time.Duration // a success after this time came too late for its sender
	done, failed atomic.Int64
	streak       atomic.Int64  // failures since the last success
	stalled      atomic.Bool   // there was no result for long; the next success ends that
	slowest      atomic.Uint64 // seconds, as float64 bits, since the last sample
	failure      atomic.Pointer[error]

	seen [errorWindow + 1]answers // a ring of totals
	next int
}

// errorWindow is the number of samples over which failures are counted. Below errorsFrom
// results, their fraction is not meaningful.
const (
	errorWindow = 5
	errorsFrom  = 10
)

// answers are totals of the results of a stage.
type answers struct{ all, failed int64 }

// result counts a result. An event that the log can never take says nothing about the
// log.
func (m *meter) result(err error, took time.Duration) {
	switch {
	case pipeline.KindOf(err) == pipeline.KindEventTooLarge:
		return
	case err == nil && took <= m.slow:
		m.done.Add(1)
		m.streak.Store(0)
		m.stalled.Store(false)
	case err == nil:
		m.fail(errLate)
	default:
		m.fail(err)
	}
	for {
		// Positive floats compare as their bits do.
		was, bits := m.slowest.Load(), math.Float64bits(max(0, took.Seconds()))
		if bits <= was || m.slowest.CompareAndSwap(was, bits) {
			return
		}
	}
}

var errLate = errors.New("answers come too late")

func (m *meter) fail(err error) {
	m.failure.Store(&err)
	m.failed.Add(1)
	m.streak.Add(1)
}

// sample returns the slowest result since the last sample, in seconds, how many results
// there were since then, and the fraction of recent results that were failures.
func (m *meter) sample() (slowest float64, results int64, errors float64) {
	last := m.seen[(m.next+errorWindow)%len(m.seen)]
	this := m.answers()
	// The ring holds totals, and the oldest is overwritten.
	m.seen[m.next] = this
	m.next = (m.next + 1) % len(m.seen)
	first := m.seen[m.next]
	if all := this.all - first.all; all >= errorsFrom {
		errors = float64(this.failed-first.failed) / float64(all)
	}
	return math.Float64frombits(m.slowest.Swap(0)), this.all - last.all, errors
}

// reset discards all failures so far.
func (m *meter) reset() {
	m.streak.Store(0)
	m.stalled.Store(false)
	now := m.answers()
	for i := range m.seen {
		m.seen[i] = now
	}
}

// good reports whether the last result was a success.
func (m *meter) good() bool { return m.streak.Load() == 0 }

func (m *meter) answers() answers {
	failed := m.failed.Load()
	return answers{all: m.done.Load() + failed, failed: failed}
}

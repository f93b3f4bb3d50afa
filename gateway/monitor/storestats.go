package monitor

import (
	"math"
	"sync/atomic"
	"time"

	"sluice/pipeline"
)

// storeMeter counts the results of the object store on their way to the metrics. It is
// called on the event loops.
type storeMeter struct {
	pipeline.Observer
	stored, failed atomic.Int64
	good           atomic.Bool   // the last result was a success
	slowest        atomic.Uint64 // seconds, as float64 bits, since the last sample
}

var stageStore = pipeline.StageStoring.String()

// StageDone implements pipeline.Observer.
func (s *storeMeter) StageDone(stage, result string, seconds float64) {
	s.Observer.StageDone(stage, result, seconds)
	if stage != stageStore {
		return
	}
	good := result == pipeline.KindNone.String()
	if s.good.Store(good); good {
		s.stored.Add(1)
	} else {
		s.failed.Add(1)
	}
	for {
		// Positive floats compare as their bits do.
		was, bits := s.slowest.Load(), math.Float64bits(max(0, seconds))
		if bits <= was || s.slowest.CompareAndSwap(was, bits) {
			return
		}
	}
}

// LateResult implements pipeline.Observer. A late result counts as a failure.
func (s *storeMeter) LateResult(stage, result string) {
	s.Observer.LateResult(stage, result)
	if stage == stageStore {
		s.good.Store(false)
		s.failed.Add(1)
	}
}

// NewStoreStats returns the statistics of a store. Its Observer passes everything on to
// o. depth returns the number of messages in the store's queue; it is nil for a store
// without one.
func NewStoreStats(o pipeline.Observer, depth func() int64) *StoreStats {
	return &StoreStats{meter: &storeMeter{Observer: o}, depth: depth}
}

// Observer returns the observer to which event loops report the store's results.
func (s *StoreStats) Observer() pipeline.Observer { return s.meter }

// errorWindow is the number of samples over which store errors are counted. Below
// errorsFrom results, their fraction is not meaningful.
const (
	errorWindow = 5
	errorsFrom  = 10
)

// StoreStats computes inputs of the gate from the store's results. It belongs to the
// goroutine of Monitor.
type StoreStats struct {
	meter     *storeMeter
	depth     func() int64 // messages that wait for the store; nil for a store without a queue
	sampledAt time.Time
	age       float64
	seen      [errorWindow + 1]answers // a ring of totals
	next      int
}

// answers are totals of the store's results.
type answers struct{ done, failed int64 }

func (s *storeMeter) answers() answers {
	failed := s.failed.Load()
	return answers{done: s.stored.Load() + failed, failed: failed}
}

// Sample returns the time in seconds that a message waits for the store, and the fraction
// of its results that were failures. The time grows while messages wait and no result
// arrives.
func (s *StoreStats) Sample(now time.Time) (age, errors float64) {
	last := s.seen[(s.next+errorWindow)%len(s.seen)]
	this := s.meter.answers()
	slowest := math.Float64frombits(s.meter.slowest.Swap(0))
	switch {
	case s.depth == nil || s.depth() == 0:
		s.age = 0
	case this.done > last.done:
		s.age = slowest
	case !s.sampledAt.IsZero():
		s.age += max(0, now.Sub(s.sampledAt).Seconds())
	}
	s.sampledAt = now
	// The ring holds totals, and the oldest is overwritten.
	s.seen[s.next] = this
	s.next = (s.next + 1) % len(s.seen)
	first := s.seen[s.next]
	if done := this.done - first.done; done >= errorsFrom {
		errors = float64(this.failed-first.failed) / float64(done)
	}
	return s.age, errors
}

// reset discards all failures so far.
func (s *StoreStats) reset() {
	now := s.meter.answers()
	for i := range s.seen {
		s.seen[i] = now
	}
}

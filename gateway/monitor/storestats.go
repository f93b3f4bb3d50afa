package monitor

import (
	"math"
	"sync/atomic"
	"time"

	"sluice/pipeline"
)

// storeMeter counts what the object store answers on its way to the metrics.
// It is called on the event loops.
type storeMeter struct {
	pipeline.Observer
	stored, failed atomic.Int64
	good           atomic.Bool   // the last answer was
	slowest        atomic.Uint64 // seconds as float64 bits; since the last sample
}

var stepStore = pipeline.StageStoring.String()

// StepDone implements pipeline.Observer.
func (s *storeMeter) StepDone(step, result string, seconds float64) {
	s.Observer.StepDone(step, result, seconds)
	if step != stepStore {
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

// LateResult implements pipeline.Observer. What came too late has failed.
func (s *storeMeter) LateResult(step, result string) {
	s.Observer.LateResult(step, result)
	if step == stepStore {
		s.good.Store(false)
		s.failed.Add(1)
	}
}

// NewStoreStats returns the statistics of a store whose queue has depth messages. What
// the store answers is passed on to o. depth is nil for a store without a queue.
func NewStoreStats(o pipeline.Observer, depth func() int64) *StoreStats {
	return &StoreStats{meter: &storeMeter{Observer: o}, depth: depth}
}

// Observer returns the observer that event loops tell of the store's answers.
func (s *StoreStats) Observer() pipeline.Observer { return s.meter }

// errorWindow is the number of samples over which store errors are counted. Below
// errorsFrom answers their share is not taken for a sign.
const (
	errorWindow = 5
	errorsFrom  = 10
)

// StoreStats turns the store's answers into inputs of the gate. It belongs to the
// goroutine of Monitor.
type StoreStats struct {
	meter     *storeMeter
	depth     func() int64 // messages that wait for the store; nil for none
	sampledAt time.Time
	age       float64
	seen      [errorWindow + 1]answers // a ring; totals
	next      int
}

// answers are totals of the store's answers.
type answers struct{ done, failed int64 }

func (s *storeMeter) answers() answers {
	failed := s.failed.Load()
	return answers{done: s.stored.Load() + failed, failed: failed}
}

// Sample returns the time in seconds that a message waits for the store, and the share of
// failures among its answers. The time grows while messages wait and no answer comes.
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
	// A ring of totals: what is overwritten is the oldest.
	s.seen[s.next] = this
	s.next = (s.next + 1) % len(s.seen)
	first := s.seen[s.next]
	if done := this.done - first.done; done >= errorsFrom {
		errors = float64(this.failed-first.failed) / float64(done)
	}
	return s.age, errors
}

// forget drops the failures so far from the count.
func (s *StoreStats) forget() {
	now := s.meter.answers()
	for i := range s.seen {
		s.seen[i] = now
	}
}

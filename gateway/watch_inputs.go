package main

import (
	"math"
	"os"
	"sync/atomic"
	"time"

	"sluice/gateway/pressure"
	"sluice/pipeline"
)

// storeMeter counts what the object store answers on its way to the metrics.
// It is called on the event loops.
type storeMeter struct {
	pipeline.Observer
	stored, failed atomic.Int64
	good           atomic.Bool   // the last answer was
	slowest        atomic.Uint64 // seconds as float64 bits; since the last look
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

// errorWindow is the number of looks over which store errors are counted, and
// errorsFrom the number of answers below which their share says nothing.
const (
	errorWindow = 5
	errorsFrom  = 10
)

// storePressure makes pressures of what the meter counts. It belongs to the
// watch.
type storePressure struct {
	meter  *storeMeter
	depth  func() int64 // messages that wait for the store; nil for none
	looked time.Time
	age    float64
	seen   [errorWindow + 1]answers // a ring; totals
	next   int
}

// answers are totals of the store's.
type answers struct{ done, failed int64 }

func (s *storeMeter) answers() answers {
	failed := s.failed.Load()
	return answers{done: s.stored.Load() + failed, failed: failed}
}

// look gives the time in seconds that a message waits for the store, and the
// share of its answers that were failures. While messages wait and no answer
// comes the time grows.
func (s *storePressure) look(now time.Time) (age, errors float64) {
	last := s.seen[(s.next+errorWindow)%len(s.seen)]
	this := s.meter.answers()
	slowest := math.Float64frombits(s.meter.slowest.Swap(0))
	switch {
	case s.depth == nil || s.depth() == 0:
		s.age = 0
	case this.done > last.done:
		s.age = slowest
	case !s.looked.IsZero():
		s.age += max(0, now.Sub(s.looked).Seconds())
	}
	s.looked = now
	// A ring of totals: what is overwritten is the oldest.
	s.seen[s.next] = this
	s.next = (s.next + 1) % len(s.seen)
	first := s.seen[s.next]
	if done := this.done - first.done; done >= errorsFrom {
		errors = float64(this.failed-first.failed) / float64(done)
	}
	return s.age, errors
}

// forget has the failures until now count no more.
func (s *storePressure) forget() {
	now := s.meter.answers()
	for i := range s.seen {
		s.seen[i] = now
	}
}

// localInputs gives what presses inside this process.
func (p *Program) localInputs(now time.Time) pressure.Inputs {
	budget := p.shared.Budget
	in := pressure.Inputs{BodyMemory: part(budget.Used(), budget.Limit())}
	in.UploadAge, in.StoreErrors = p.storing.look(now)
	if p.events.kafka != nil {
		in.ProducerBuffer = part(p.events.kafka.Depth(), int64(p.config.Limits.Connections))
	}
	in.OpenFiles = part(openFiles(), int64(p.config.Machine().Files))
	return in
}

// part is a share of a whole, 0 when the whole is not known.
func part(of, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(of) / float64(whole)
}

// openFiles counts this process's descriptors, 0 when that is not known.
func openFiles() int64 {
	const folder = "/proc/self/fd"
	// Since Linux 6.2 the folder's size is their number.
	if info, err := os.Stat(folder); err == nil && info.Size() > 0 {
		return info.Size()
	}
	f, err := os.Open(folder)
	if err != nil {
		return 0
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	return int64(len(names))
}

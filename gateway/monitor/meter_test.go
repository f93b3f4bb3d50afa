package monitor

import (
	"errors"
	"testing"
	"time"

	"sluice/gateway/pressure"
	"sluice/pipeline"
)

var errFailed = errors.New("failed")

// stageEnv is a stage whose ticks, results and probes are driven by the test.
type stageEnv struct {
	*Stage
	now     time.Time
	waiting int64
}

func newStageEnv() *stageEnv {
	w := &stageEnv{now: time.Unix(1_800_000_000, 0)}
	w.Stage = NewStage(StageOptions{
		Name: "object store", Cause: pressure.CauseStoreErrors, Slow: time.Minute,
		Interval: interval, Depth: func() int64 { return w.waiting },
	})
	return w
}

func (w *stageEnv) answer(n int, err error, took time.Duration) {
	for range n {
		w.meter.result(err, took)
	}
}

func (w *stageEnv) expect(t *testing.T, when string, age, errors float64) {
	t.Helper()
	w.now = w.now.Add(2 * time.Second)
	if a, e := w.Sample(w.now); a != age || e != errors {
		t.Errorf("%s: age %v, errors %v, want %v, %v", when, a, e, age, errors)
	}
}

func TestUploadAge(t *testing.T) {
	w := newStageEnv()
	w.expect(t, "nothing waits", 0, 0)
	w.waiting = 5
	w.answer(3, nil, 250*time.Millisecond)
	w.answer(1, nil, 1500*time.Millisecond)
	w.answer(1, nil, 500*time.Millisecond)
	w.expect(t, "the slowest answer", 1.5, 0)
	w.answer(1, nil, 500*time.Millisecond)
	w.expect(t, "it is forgotten", 0.5, 0)
	w.expect(t, "no answer", 2.5, 0)
	w.expect(t, "still none", 4.5, 0)
	w.waiting = 0
	w.expect(t, "nothing waits any more", 0, 0)
}

func TestFractionOfFailures(t *testing.T) {
	w := newStageEnv()
	w.answer(9, errFailed, 0)
	w.expect(t, "too few to say", 0, 0)
	w.answer(11, nil, 0)
	w.expect(t, "9 of 20", 0, 0.45)
	w.answer(1, nil, 2*time.Minute)
	w.answer(4, nil, 0)
	w.answer(5, &pipeline.Failure{Kind: pipeline.KindEventTooLarge}, 0)
	w.expect(t, "what came late has failed, what can never be published says nothing", 0, 0.4)
	for range errorWindow - 3 {
		w.expect(t, "they are remembered", 0, 0.4)
	}
	w.expect(t, "the first 9 are forgotten", 0, 1.0/16)
	w.expect(t, "and more", 0, 0)
}

// TestResultsAreToldApart checks that each stage has its own results, and that loops
// report them without an allocation.
func TestResultsAreToldApart(t *testing.T) {
	store, events := newStageEnv(), newStageEnv()
	g := &Gate{pressure.NewGate(pressure.Settings{}), store.Stage, events.Stage}
	g.Result(pipeline.StageStoring, nil, time.Second)
	g.Result(pipeline.StagePublishing, errFailed, time.Second)
	g.Result(pipeline.StageParts, errFailed, time.Second)
	if s, e := store.meter.answers(), events.meter.answers(); s != (answers{1, 0}) || e != (answers{1, 1}) {
		t.Errorf("store %+v, events %+v", s, e)
	}
	if n := testing.AllocsPerRun(100, func() {
		g.Result(pipeline.StageStoring, nil, time.Second)
		g.Shed(0, 0)
		g.Admit()
		g.MayStore()
	}); n != 0 {
		t.Errorf("%v allocations on the loop", n)
	}
}

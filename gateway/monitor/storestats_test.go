package monitor

import (
	"testing"
	"time"

	"sluice/pipeline"
)

// ignorant is an observer that counts calls.
type ignorant struct{ steps, late int }

func (i *ignorant) StageDone(string, string, float64) { i.steps++ }
func (i *ignorant) LateResult(string, string)         { i.late++ }

// storeEnv is a store with statistics.
type storeEnv struct {
	StoreStats
	now     time.Time
	waiting int64
}

func newStoreEnv() *storeEnv {
	w := &storeEnv{now: time.Unix(1_800_000_000, 0)}
	w.StoreStats = StoreStats{meter: &storeMeter{Observer: &ignorant{}}, depth: func() int64 { return w.waiting }}
	return w
}

func (w *storeEnv) answer(n int, result string, seconds float64) {
	for range n {
		w.meter.StageDone("store", result, seconds)
	}
}

func (w *storeEnv) expect(t *testing.T, when string, age, errors float64) {
	t.Helper()
	w.now = w.now.Add(2 * time.Second)
	if a, e := w.Sample(w.now); a != age || e != errors {
		t.Errorf("%s: age %v, errors %v, want %v, %v", when, a, e, age, errors)
	}
}

func TestUploadAge(t *testing.T) {
	w := newStoreEnv()
	w.expect(t, "nothing waits", 0, 0)
	w.waiting = 5
	w.answer(3, "ok", 0.25)
	w.answer(1, "ok", 1.5)
	w.answer(1, "ok", 0.5)
	w.expect(t, "the slowest answer", 1.5, 0)
	w.answer(1, "ok", 0.5)
	w.expect(t, "it is forgotten", 0.5, 0)
	w.expect(t, "no answer", 2.5, 0)
	w.expect(t, "still none", 4.5, 0)
	w.waiting = 0
	w.expect(t, "nothing waits any more", 0, 0)
	w.waiting = 1
	w.meter.StageDone("publish", "ok", 100)
	w.expect(t, "a publish is no store", 2, 0)
}

func TestStoreErrors(t *testing.T) {
	w := newStoreEnv()
	w.answer(9, "temporary", 0)
	w.expect(t, "too few to say", 0, 0)
	w.answer(11, "ok", 0)
	w.expect(t, "9 of 20", 0, 0.45)
	w.meter.LateResult("store", "ok")
	w.meter.LateResult("publish", "ok")
	w.answer(4, "ok", 0)
	w.expect(t, "what came late has failed", 0, 0.4)
	for range errorWindow - 3 {
		w.expect(t, "they are remembered", 0, 0.4)
	}
	w.expect(t, "the first 9 are forgotten", 0, 1.0/16)
	w.expect(t, "and more", 0, 0)
}

// TestMeterPassesOn checks that the metrics receive everything that the meter counts.
func TestMeterPassesOn(t *testing.T) {
	seen := &ignorant{}
	m := &storeMeter{Observer: seen}
	m.StageDone("store", "ok", 1)
	m.StageDone("publish", "ok", 1)
	m.LateResult("store", "timeout")
	if seen.steps != 2 || seen.late != 1 {
		t.Errorf("%+v", seen)
	}
	if n := testing.AllocsPerRun(100, func() { m.StageDone("store", "ok", 1) }); n != 0 {
		t.Errorf("%v allocations on the loop", n)
	}
	if pipeline.KindOf(nil).String() != "ok" {
		t.Error("the result of what succeeded has another name")
	}
}

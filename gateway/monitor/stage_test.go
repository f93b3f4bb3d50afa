package monitor

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sluice/gateway/pressure"
	"sluice/internal/testkit"
)

// probeEnv is a stage that is probed.
type probeEnv struct {
	*stageEnv
	t     *testing.T
	err   error // result of the next probe
	asked int
	log   testkit.Buffer
}

func newProbeEnv(t *testing.T) *probeEnv {
	w := &probeEnv{t: t, stageEnv: newStageEnv()}
	w.Probe = func(context.Context) error { return w.err }
	w.Logger = slog.New(slog.NewTextHandler(&w.log, nil))
	return w
}

const interval = 2 * time.Second

// tick lets an interval pass and delivers the result of the probe, if there is one.
func (w *probeEnv) tick() {
	w.now = w.now.Add(interval)
	if w.check(w.now) {
		w.asked++
		w.finish(w.t.Context(), w.ask(w.t.Context()))
	}
	w.follow(w.now)
}

// expect ticks and checks whether the stage was asked and cannot be used.
func (w *probeEnv) expect(when string, asked, away bool) {
	w.t.Helper()
	before := w.asked
	w.tick()
	if got := w.asked > before; got != asked || w.Usable() == away {
		w.t.Errorf("%s: asked %v, usable: %v, want %v, %v", when, got, w.Usable(), asked, !away)
	}
}

var errAway = errors.New("connection refused")

func TestStageIsAskedWhileInDoubt(t *testing.T) {
	w := newProbeEnv(t)
	w.err = errAway
	w.expect("at the start", true, true)
	w.err = nil
	w.expect("it has come", true, false)
	w.expect("no success yet", true, false)
	w.answer(1, nil, 0)
	w.expect("a success", false, false)
	w.expect("nothing happens", false, false)
	w.answer(1, errFailed, 0)
	w.answer(1, nil, 0)
	w.expect("one failed, the next did not", false, false)
	w.answer(1, nil, 0)
	w.answer(1, errFailed, 0)
	w.expect("one did not fail, the next did", true, false)
	w.answer(1, nil, 0)
	w.expect("a success again", false, false)
	w.answer(1, errFailed, 0)
	w.expect("one failed", true, false)
	w.err = errAway
	w.expect("and no success since", true, true)
	w.answer(1, nil, 0)
	w.expect("a success, whatever a probe said before", false, false)
	w.answer(1, nil, time.Hour)
	w.expect("what came too late has failed", true, true)
	w.err = nil
	w.answer(1, nil, 0)
	w.expect("a success", false, false)
	w.waiting = 1
	w.expect("a message waits", false, false)
	w.expect("it has waited a while", true, false)
	w.answer(1, nil, 0)
	w.expect("there were others", false, false)
}

// TestSuccessWhileAsked checks that the failure of a probe is ignored if there was a
// success meanwhile.
func TestSuccessWhileAsked(t *testing.T) {
	w := newProbeEnv(t)
	w.check(w.now)
	w.answer(1, nil, 0)
	w.finish(t.Context(), errAway)
	if !w.Usable() {
		t.Error("it cannot be used")
	}
}

// TestProbeIsBounded checks that at most one probe is in flight, that it has a deadline,
// and that one interrupted at the end has no effect.
func TestProbeIsBounded(t *testing.T) {
	for interval, want := range map[time.Duration]time.Duration{50 * time.Millisecond: minProbe, 3 * time.Second: 3 * time.Second, time.Minute: maxProbe} {
		w := newProbeEnv(t)
		w.Interval = interval
		ctx, cancel := context.WithCancel(t.Context())
		w.Probe = func(ctx context.Context) error {
			until, _ := ctx.Deadline()
			if left := time.Until(until); left > want || left < want-500*time.Millisecond {
				t.Errorf("interval %v: %v for a probe, want %v", interval, left, want)
			}
			cancel()
			return ctx.Err()
		}
		if !w.check(w.now) || w.check(w.now.Add(time.Hour)) {
			t.Error("not one probe in flight")
		}
		w.finish(ctx, w.ask(ctx))
		w.follow(w.now)
		if !w.Usable() || len(w.log.Lines()[0]) != 0 {
			t.Errorf("usable: %v, %q", w.Usable(), w.log.Lines())
		}
	}
}

// TestStageIsBack checks that failures before the stage became available again do not
// count.
func TestStageIsBack(t *testing.T) {
	w := newProbeEnv(t)
	w.Sample(w.now)
	w.answer(20, errFailed, 0)
	w.err = errAway
	w.tick()
	if _, errors := w.Sample(w.now); errors != 1 {
		t.Errorf("errors %v", errors)
	}
	w.err = nil
	w.tick()
	if _, errors := w.Sample(w.now); errors != 0 || !w.Usable() {
		t.Errorf("after its return: errors %v, usable: %v", errors, w.Usable())
	}
}

// TestTrials checks that a stage that is available and fails has one trial between two
// checks, that one that is away has none, and that the first success ends it.
func TestTrials(t *testing.T) {
	w := newProbeEnv(t)
	w.tick()
	w.answer(failuresInRow-1, errFailed, 0)
	if !w.Usable() {
		t.Error("too few failures")
	}
	w.answer(1, errFailed, 0)
	w.tick()
	g := &Gate{pressure.NewGate(pressure.Settings{}), newStageEnv().Stage, w.Stage}
	w.Cause = pressure.CauseEventsErrors
	shed := func(want bool) {
		t.Helper()
		if cause, got := g.Shed(0, 65535); got != want || got && cause != pressure.CauseEventsErrors {
			t.Errorf("shed %v by %q", got, cause)
		}
	}
	shed(false) // a trial may begin
	shed(false) // and none has
	if cause, trial := g.Admit(); cause != "" || !trial {
		t.Errorf("the first text: %q, %v", cause, trial)
	}
	shed(true)
	if cause, trial := g.Admit(); cause != pressure.CauseEventsErrors || trial || g.MayStore() {
		t.Errorf("the second text: %q, %v", cause, trial)
	}
	w.tick()
	if !g.MayStore() || g.MayStore() {
		t.Error("not one message stored that was on its way")
	}
	w.tick()
	w.err = errAway
	w.tick()
	shed(true)
	if cause, _ := g.Admit(); cause != pressure.CauseEventsErrors || g.MayStore() {
		t.Error("a trial while it is away")
	}
	w.err = nil
	w.tick()
	shed(false)
	w.answer(failuresInRow, errFailed, 0)
	w.tick()
	w.answer(1, nil, 0)
	shed(false)
	if cause, trial := g.Admit(); cause != "" || trial || !g.MayStore() {
		t.Errorf("after a success: %q, %v", cause, trial)
	}
}

// TestStalledStage checks that a stage that is available and gives no results cannot be
// used, but for trials, until there is one.
func TestStalledStage(t *testing.T) {
	w := newProbeEnv(t)
	w.tick()
	w.waiting = 5
	for began := w.now; w.Usable(); w.tick() {
		if w.now.Sub(began) > 2*stalledAfter {
			t.Fatal("it can be used")
		}
	}
	if !w.take() || w.take() {
		t.Error("not one trial")
	}
	w.tick()
	if want := `err="no answers, though it is available"`; !strings.Contains(w.log.String(), want) {
		t.Errorf("logged %q", w.log.Lines())
	}
	w.answer(1, nil, 0)
	if !w.Usable() {
		t.Error("not after a result")
	}
}

// TestAwayIsLogged checks that there is a line when a stage becomes unusable, one for
// another reason after a minute, and one when it is back; and that a stage that comes and
// goes floods nothing.
func TestAwayIsLogged(t *testing.T) {
	w := newProbeEnv(t)
	w.err = errAway
	for range 2 * logEvery / interval {
		w.tick()
	}
	w.err = errors.New("no route to host")
	w.tick()
	w.err = errAway
	w.tick()
	w.err = nil
	for range 5 {
		w.tick()
		w.answer(failuresInRow, errFailed, 0)
		w.tick()
		w.answer(1, nil, 0)
	}
	want := []string{
		`level=ERROR msg="the object store cannot be used: no mail is taken until it can" err="connection refused"`,
		`level=ERROR msg="the object store cannot be used: no mail is taken until it can" err="no route to host"`,
		`level=INFO msg="the object store can be used again"`,
	}
	got := w.log.Lines()
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if !strings.HasSuffix(got[i], want[i]) {
			t.Errorf("got %s, want %s", got[i], want[i])
		}
	}
}

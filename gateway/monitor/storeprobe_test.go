package monitor

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sluice/internal/testkit"
)

// probeEnv is a probed store whose ticks are driven by the test.
type probeEnv struct {
	*StoreProbe
	t       *testing.T
	now     time.Time
	waiting int64
	err     error // result of the next probe
	asked   int
	log     testkit.Buffer
}

func newProbeEnv(t *testing.T) *probeEnv {
	w := &probeEnv{t: t, now: time.Unix(1_800_000_000, 0)}
	p := &StoreStats{meter: &storeMeter{Observer: &ignorant{}}, depth: func() int64 { return w.waiting }}
	w.StoreProbe = NewStoreProbe(func(context.Context) error { return w.err }, p, interval, slog.New(slog.NewTextHandler(&w.log, nil)))
	return w
}

const interval = 2 * time.Second

func (w *probeEnv) answer(result string) { w.pressure.meter.StageDone("store", result, 0) }

// tick lets an interval pass and delivers the result of the probe, if there is one.
func (w *probeEnv) tick() {
	w.now = w.now.Add(interval)
	if w.sample(w.t.Context(), w.now); w.inFlight {
		w.asked++
		w.finish(w.t.Context(), <-w.answered, w.now)
	}
}

// expect ticks and checks whether the store was asked and is unavailable.
func (w *probeEnv) expect(when string, asked, away bool) {
	w.t.Helper()
	before := w.asked
	w.tick()
	if got := w.asked > before; got != asked || (w.away != nil) != away {
		w.t.Errorf("%s: asked %v, away: %v, want %v, %v", when, got, w.away, asked, away)
	}
}

var errAway = errors.New("connection refused")

func TestStoreIsAskedWhileInDoubt(t *testing.T) {
	w := newProbeEnv(t)
	w.err = errAway
	w.expect("at the start", true, true)
	w.err = nil
	w.expect("it has come", true, false)
	w.expect("nothing was stored yet", true, false)
	w.answer("ok")
	w.expect("a message was stored", false, false)
	w.expect("nothing happens", false, false)
	w.answer("temporary")
	w.answer("ok")
	w.expect("one failed, the next was stored", false, false)
	w.answer("ok")
	w.answer("temporary")
	w.expect("one was stored, the next failed", true, false)
	w.answer("ok")
	w.expect("stored again", false, false)
	w.answer("temporary")
	w.expect("one failed", true, false)
	w.err = errAway
	w.expect("and nothing was stored since", true, true)
	w.answer("ok")
	w.expect("stored, whatever a probe said before", false, false)
	w.pressure.meter.LateResult("store", "ok")
	w.expect("what came too late has failed", true, true)
	w.err = nil
	w.answer("ok")
	w.expect("stored", false, false)
	w.waiting = 1
	w.expect("a message waits", false, false)
	w.expect("it has waited a whole interval", true, false)
	w.answer("ok")
	w.expect("others were stored", false, false)
}

// TestStoredWhileAsked checks that the failure of a probe is ignored if a message was
// stored meanwhile.
func TestStoredWhileAsked(t *testing.T) {
	w := newProbeEnv(t)
	w.err = errAway
	w.sample(t.Context(), w.now)
	w.answer("ok")
	w.finish(t.Context(), <-w.answered, w.now)
	if w.away != nil {
		t.Error(w.away)
	}
}

// TestProbeIsBounded checks that at most one probe is in flight, that it has a deadline,
// and that one interrupted at the end has no effect.
func TestProbeIsBounded(t *testing.T) {
	for interval, want := range map[time.Duration]time.Duration{50 * time.Millisecond: minProbe, 2 * time.Second: 2 * time.Second, time.Minute: maxProbe} {
		w := newProbeEnv(t)
		ctx, cancel := context.WithCancel(t.Context())
		asked := make(chan time.Duration, 2)
		s := NewStoreProbe(func(ctx context.Context) error {
			until, _ := ctx.Deadline()
			asked <- time.Until(until)
			<-ctx.Done()
			return ctx.Err()
		}, w.pressure, interval, w.logger)
		s.sample(ctx, w.now)
		s.sample(ctx, w.now)
		if left := <-asked; left > want || left < want-500*time.Millisecond {
			t.Errorf("interval %v: %v for a probe, want %v", interval, left, want)
		}
		cancel()
		s.finish(ctx, <-s.answered, w.now)
		if len(asked) != 0 || s.away != nil || len(w.log.Lines()[0]) != 0 {
			t.Errorf("%d more were asked; away: %v, %q", len(asked), s.away, w.log.Lines())
		}
		s.wait(ctx) // none is in flight
	}
}

// TestStoreIsBack checks that failures before the store became available again do not
// count.
func TestStoreIsBack(t *testing.T) {
	w := newProbeEnv(t)
	w.pressure.Sample(w.now)
	for range 20 {
		w.answer("temporary")
	}
	w.err = errAway
	w.tick()
	if _, errors := w.pressure.Sample(w.now); errors != 1 {
		t.Errorf("errors %v", errors)
	}
	w.err = nil
	w.tick()
	if _, errors := w.pressure.Sample(w.now); errors != 0 {
		t.Errorf("after its return: errors %v", errors)
	}
	// A store that can be reached but stores nothing is in doubt, and not available
	// again.
	for range 20 {
		w.answer("full")
	}
	w.tick()
	if _, errors := w.pressure.Sample(w.now); errors != 1 || w.away != nil {
		t.Errorf("errors %v, away: %v", errors, w.away)
	}
}

func TestStoreAwayIsLogged(t *testing.T) {
	w := newProbeEnv(t)
	w.err = errAway
	for range 1 + probeLogEvery/interval { // logged again after a minute
		w.tick()
	}
	w.err = nil
	w.tick()
	w.tick()
	want := []string{
		`level=ERROR msg="the object store cannot be used: no mail is taken until it can" err="connection refused"`,
		`level=ERROR msg="the object store cannot be used: no mail is taken until it can" err="connection refused"`,
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

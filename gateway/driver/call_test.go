package driver

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/pipeline"
)

// callResult is a result of a call that a session was given.
type callResult struct {
	value any
	err   error
}

// caller begins a call for a connection and keeps what comes of it.
type caller struct {
	call    *Call // that of the newest start
	results []callResult
}

func (k *caller) begin(s *memorySocket) {
	start := func(a *Call) { k.call = a }
	s.w.loop.Call(&s.conn, 10*time.Second, start, func(_ *Conn, value any, err error) {
		k.results = append(k.results, callResult{value, err})
	})
	s.w.settle()
}

func (k *caller) finish(w *world, value any) {
	k.call.Done(value, nil)
	w.settle()
}

// cleanCalls asserts that nothing is left, calls included.
func (w *world) cleanCalls() {
	w.t.Helper()
	w.clean()
	if n := w.loop.Calls(); n != 0 {
		w.t.Errorf("%d calls are in flight", n)
	}
}

// TestCall lets commands wait for the result of a call.
func TestCall(t *testing.T) {
	w := newWorld(t, testOptions())
	var k caller
	s := w.connect()
	s.send(ehlo)
	s.hear()
	k.begin(s)
	s.send("NOOP\r\nVRFY x\r\n")
	if got := s.hear(); got != "" || len(k.results) != 0 {
		t.Errorf("before the result: %q, %v", got, k.results)
	}
	k.finish(w, "who")
	if got := s.hear(); !strings.HasPrefix(got, "250 ") || !strings.Contains(got, "\r\n252 ") {
		t.Errorf("after the result: %q", got)
	}
	if len(k.results) != 1 || k.results[0] != (callResult{"who", nil}) {
		t.Errorf("results %v", k.results)
	}
	w.advance(4 * time.Minute) // the deadline is that of a command again
	s.send("QUIT\r\n")
	if got := s.hear(); !strings.HasPrefix(got, "221 ") {
		t.Errorf("%q", got)
	}
	w.cleanCalls()
}

// TestCallWithEarlyResult takes a result that is there before the start returns.
func TestCallWithEarlyResult(t *testing.T) {
	w := newWorld(t, testOptions())
	s := w.connect()
	s.send(ehlo)
	var got any
	w.loop.Call(&s.conn, time.Second, func(a *Call) { a.Done(7, nil) }, func(_ *Conn, value any, _ error) { got = value })
	if got != 7 || w.wakes != 0 {
		t.Errorf("got %v after %d wake-ups", got, w.wakes)
	}
	s.gone()
	w.cleanCalls()
}

// TestCallOverdue goes on with an error when the result does not come in time, and lets
// the call come home later.
func TestCallOverdue(t *testing.T) {
	w := newWorld(t, testOptions())
	var k caller
	s := w.connect()
	s.send(ehlo)
	k.begin(s)
	s.send("NOOP\r\n")
	s.hear()
	w.advance(11 * time.Second)
	if len(k.results) != 1 || pipeline.KindOf(k.results[0].err) != pipeline.KindTimeout {
		t.Errorf("results %v", k.results)
	}
	if got := s.hear(); !strings.HasPrefix(got, "250 ") {
		t.Errorf("the command behind it: %q", got)
	}
	late := k.call
	k.begin(s) // the late one is not taken for this
	late.Done("late", nil)
	w.settle()
	if len(k.results) != 1 {
		t.Errorf("results %v", k.results)
	}
	k.finish(w, "second")
	if len(k.results) != 2 || k.results[1].value != "second" {
		t.Errorf("results %v", k.results)
	}
	s.gone()
	w.cleanCalls()
}

// TestCallOfAnEndedSession checks that no session has the result of a call whose own has
// ended, by its client or by a drain. The call can be used again then.
func TestCallOfAnEndedSession(t *testing.T) {
	for name, end := range map[string]func(*world, *memorySocket){
		"client gone": func(_ *world, s *memorySocket) { s.gone() },
		"drain":       func(w *world, _ *memorySocket) { w.shared.Refuse(); w.advance(3 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, testOptions())
			var k caller
			s := w.connect()
			s.send(ehlo)
			k.begin(s)
			first := k.call
			end(w, s)
			if !s.closed && !s.half {
				t.Fatal("the session goes on")
			}
			k.finish(w, "nobody's")
			if len(k.results) != 0 {
				t.Errorf("results %v", k.results)
			}
			s.gone()
			w.cleanCalls()
			w.shared.admission.draining.Store(false)
			w.loop.draining = false
			next := w.connect()
			if k.begin(next); k.call != first {
				t.Error("the call is not used again")
			}
			k.finish(w, "mine")
			if len(k.results) != 1 || k.results[0].value != "mine" {
				t.Errorf("results %v", k.results)
			}
			next.gone()
			w.cleanCalls()
		})
	}
}

// TestCallPauses lets a session that waits for a call leave the reactor when its client
// sends on, and answers everything afterwards.
func TestCallPauses(t *testing.T) {
	o := testOptions()
	o.Settings.Limits.JunkCommands = 1 << 14
	w := newWorld(t, o)
	var k caller
	s := w.connect()
	s.send(ehlo)
	s.hear()
	k.begin(s)
	s.send(strings.Repeat("NOOP\r\n", 2000))
	if w.seen.pauses["call"] != 1 || !s.paused {
		t.Errorf("pauses %v", w.seen.pauses)
	}
	k.finish(w, nil)
	if n := strings.Count(s.hear(), "250 "); n != 2000 || s.paused {
		t.Errorf("%d replies, paused %v", n, s.paused)
	}
	s.gone()
	w.cleanCalls()
}

// TestCallLimitHolds: neither a client that does not read its replies nor a drain, of a
// session that has a transaction and so goes on, lengthens the limit of a call.
func TestCallLimitHolds(t *testing.T) {
	for name, during := range map[string]func(*world, *memorySocket){
		"replies are unsent": func(_ *world, s *memorySocket) {
			s.room = 0
			s.send(ehlo)
		},
		"draining": func(w *world, s *memorySocket) {
			s.send(ehlo + "MAIL FROM:<a@example.com>\r\n")
			w.shared.Refuse()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, testOptions())
			var k caller
			s := w.connect()
			s.hear()
			during(w, s)
			k.begin(s)
			w.advance(12 * time.Second)
			if len(k.results) != 1 || pipeline.KindOf(k.results[0].err) != pipeline.KindTimeout {
				t.Fatalf("after the limit: %v", k.results)
			}
			k.finish(w, "too late")
			s.gone()
			w.cleanCalls()
		})
	}
}

// TestCallThatCannotPause: a session with a call in flight that had to pause and cannot
// ends with 421, and the result of its call goes nowhere.
func TestCallThatCannotPause(t *testing.T) {
	w := newWorld(t, testOptions())
	var k caller
	s := w.connect()
	s.send(ehlo)
	s.hear()
	k.begin(s)
	s.noPause = syscall.EMFILE
	s.send(strings.Repeat("NOOP\r\n", pauseAbove/6+1))
	if got := s.hear(); !strings.HasPrefix(got, "421 4.3.1 ") {
		t.Errorf("got %q", got)
	}
	k.finish(w, "too late")
	if len(k.results) != 0 {
		t.Errorf("a session that has ended was given %v", k.results)
	}
	s.gone()
	w.cleanCalls()
}

// TestCallPanics ends the session whose result made a panic.
func TestCallPanics(t *testing.T) {
	w := newWorld(t, testOptions())
	s := w.connect()
	w.loop.Call(&s.conn, time.Second, func(a *Call) { a.Done(nil, nil) }, func(*Conn, any, error) { panic("scripted") })
	if !s.closed || w.seen.panics != 1 {
		t.Errorf("closed %v, %d panics", s.closed, w.seen.panics)
	}
	w.seen.panics = 0
	w.cleanCalls()
}

// TestCallWhoseStartPanics: a panic in the start of a call ends the session, and the call
// counts as in flight no more, whether its work comes home all the same or not.
func TestCallWhoseStartPanics(t *testing.T) {
	w := newWorld(t, testOptions())
	never := func(*Conn, any, error) { t.Error("a session that has ended was given a result") }
	var early *Call
	for name, before := range map[string]func(*Call){
		"never home":  func(*Call) {},
		"home before": func(a *Call) { a.Done(nil, nil) },
		"home later":  func(a *Call) { early = a },
	} {
		s := w.connect()
		w.loop.Call(&s.conn, time.Second, func(a *Call) { before(a); panic("scripted") }, never)
		if n := w.loop.Calls(); !s.closed || n != 0 || w.seen.panics != 1 {
			t.Errorf("%s: closed %v, %d calls in flight, %d panics", name, s.closed, n, w.seen.panics)
		}
		w.seen.panics = 0
	}
	var k caller
	s := w.connect()
	k.begin(s)
	early.Done(nil, nil)
	w.settle()
	if w.loop.Calls() != 1 || len(k.results) != 0 {
		t.Errorf("%d calls in flight, results %v", w.loop.Calls(), k.results)
	}
	k.finish(w, "mine")
	if len(k.results) != 1 || k.results[0].value != "mine" {
		t.Errorf("results %v", k.results)
	}
	s.gone()
	w.cleanCalls()
}

// TestCallAllocatesNothing counts the allocations of a call that was used before.
func TestCallAllocatesNothing(t *testing.T) {
	w := newWorld(t, testOptions())
	s := w.connect()
	results := 0
	start, done := func(a *Call) { a.Done(nil, nil) }, func(*Conn, any, error) { results++ }
	one := func() { w.loop.Call(&s.conn, time.Second, start, done) }
	one()
	if n := testing.AllocsPerRun(100, one); n > 0 {
		t.Errorf("%v allocations for a call", n)
	}
	if results != 102 {
		t.Errorf("%d results", results)
	}
	s.gone()
	w.cleanCalls()
}

package sim

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// world is everything around Sluice, and Sluice in it.
type world struct {
	agenda
	seed   uint64
	random *rand.Rand
	plan   plan
	trace  trace
	tally  tally
	calm   bool // faults strike no more

	calmSince time.Duration

	process *process // nil while none runs
	store   *store
	log     *eventLog

	storeOut, logOut, topicGone outage

	senders  []*sender
	hoarders []*sender
	working  []*job          // slow work in flight
	jobs     int             // begun so far
	tries    map[string]*try // by their secrets

	broken string // the first invariant that did not hold
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newWorld(seed uint64) *world {
	w := &world{seed: seed, random: rand.New(rand.NewPCG(seed, 0x51c3)), tally: tally{}, tries: map[string]*try{}}
	w.plan = newPlan(w.random)
	if seed&callWorlds != 0 {
		w.plan.calls = 20 + w.random.IntN(200)
	}
	if seed&frontWorlds != 0 {
		w.plan.front, w.plan.reload, w.plan.unnamed = true, 60, 1+w.random.IntN(4)
	}
	if seed&secureWorlds != 0 {
		w.plan.secure, w.plan.implicit, w.plan.broken = true, w.random.IntN(2) == 0, w.random.IntN(8)
	}
	if seed&authWorlds != 0 {
		w.plan.auth, w.plan.wrong = true, w.random.IntN(500)
	}
	w.plan.verify = seed&verifyWorlds != 0
	w.store, w.log = newStore(w), newEventLog(w)
	w.start()
	for n := range w.plan.senders {
		w.senders = append(w.senders, newSender(w, n))
	}
	if seed&hoardWorlds != 0 {
		for n := range 1 + w.random.IntN(max(1, w.plan.connections/3)) {
			w.hoarders = append(w.hoarders, newHoarder(w, n))
		}
	}
	w.after(0, w.mishap)
	return w
}

// Now implements driver.Clock. It is asked when a callback begins: a moment at
// which another thread may be done with something.
func (w *world) Now() time.Time {
	w.interleave()
	return epoch.Add(w.now)
}

// note adds a step to the trace.
func (w *world) note(what string, who, n int) {
	w.trace.add(note{at: w.now, what: what, who: who, n: n})
}

// fail records that an invariant does not hold. It must not panic: the driver would take
// that for a panic of its own.
func (w *world) fail(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
		w.trace.add(note{at: w.now, what: "VIOLATION", text: w.broken})
	}
}

// chance reports true perMille times of a thousand.
func (w *world) chance(perMille int) bool {
	return perMille > 0 && w.random.IntN(1000) < perMille
}

// fault reports whether a fault strikes now, and counts it.
func (w *world) fault(name string, perMille int) bool {
	if w.calm || !w.chance(perMille) {
		return false
	}
	w.tally[name]++
	return true
}

// within draws a time from 0 to d.
func (w *world) within(d time.Duration) time.Duration {
	return time.Duration(w.random.Int64N(int64(d) + 1))
}

// run lives the world's three phases and returns the invariant that was broken.
func (w *world) run() string {
	w.until(w.plan.chaos, func() bool { return w.delivered() })
	w.calm, w.calmSince = true, w.now
	w.note("calm", 0, 0)
	if w.process == nil {
		w.start()
	} else if w.process.terminating {
		w.kill("term done")
	}
	for _, s := range w.senders {
		s.behave()
	}
	if !w.until(10*time.Minute, w.delivered) {
		w.fail("all is well for ten minutes, and not every message was delivered: %s", w.missing())
	}
	w.note("silence", 0, 0)
	for _, s := range append(w.senders, w.hoarders...) {
		s.leave()
	}
	w.until(12*time.Second, func() bool { return false })
	w.until(5*time.Minute, func() bool { return len(w.working) == 0 })
	w.until(2*time.Second, func() bool { return false })
	if w.process == nil {
		w.start()
	}
	w.process.quiet()
	w.audit()
	return w.broken
}

// until runs events until a condition holds, and reports whether it did in time.
func (w *world) until(d time.Duration, holds func() bool) bool {
	for end := w.now + d; w.now < end && w.broken == ""; {
		if holds() {
			return true
		}
		w.next()
		w.tally["steps"]++
		w.check()
	}
	return holds()
}

// check asserts what holds after each step.
func (w *world) check() {
	p := w.process
	if p == nil {
		return
	}
	if used, limit := p.shared.Budget.Used(), p.shared.Budget.Limit(); used < 0 || used > limit {
		w.fail("%d octets of a budget of %d are out", used, limit)
	}
	if p.shared.Parts.Used() < 0 || p.shared.Parts.Used() > p.shared.Parts.Limit() {
		w.fail("%d octets of a part budget of %d are out", p.shared.Parts.Used(), p.shared.Parts.Limit())
	}
	for _, s := range p.sockets {
		if s.closed || !s.opened {
			continue
		}
		record := 0
		if w.plan.secure {
			record = 20 << 10 // one that is not whole, or the text of one
		}
		if n := s.conn.Unread(); n > 4<<10+readSize+record || n > 4<<10 && !s.paused && s.conn.Waits() {
			w.fail("%d octets of sender %d are unread (paused: %v)", n, s.sender.n, s.paused)
		}
		if n := s.conn.Opened(); n > 16<<10+pauseText {
			w.fail("%d octets of sender %d are opened and wait", n, s.sender.n)
		}
		if s.paused && !s.closed && !s.conn.Waits() {
			w.fail("sender %d is not read, and nothing is waited for", s.sender.n)
		}
	}
	for _, l := range p.loops {
		if n := l.loop.Sessions(); n != l.open {
			w.fail("%d connections are in the wheel of loop %d, %d are open", n, l.n, l.open)
		}
		if !l.loop.Idle() && !l.woken {
			w.fail("something waits in the inbox of loop %d, and nobody woke it", l.n)
		}
	}
}

func (w *world) delivered() bool {
	for _, s := range w.senders {
		if len(s.letters) > 0 {
			return false
		}
	}
	return true
}

func (w *world) missing() string {
	text := ""
	for _, s := range w.senders {
		for _, l := range s.letters {
			text += fmt.Sprintf(" sender %d letter %d of %d octets after %d tries;", s.n, l.n, len(l.body), l.tries)
		}
	}
	return text
}

// mishap draws the faults of the whole process, every tenth of a second.
func (w *world) mishap() {
	w.after(tickLength, w.mishap)
	p := w.process
	if p == nil || w.calm {
		if p != nil && w.calm {
			p.shedBelow = 0
		}
		return
	}
	switch {
	case w.fault("kill -9", w.plan.kill):
		w.kill("kill")
	case !p.terminating && w.fault("SIGTERM", w.plan.term):
		w.note("term", 0, 0)
		p.terminating = true
		p.shared.Refuse()
		w.after(8*time.Second, func() {
			if w.process == p {
				w.kill("term done")
			}
		})
	case w.fault("reload", w.plan.reload):
		p.reload()
	case w.chance(50):
		p.shedBelow = 0
		if w.fault("pressure", w.plan.shed) {
			p.shedBelow = uint32(w.random.IntN(1 << 16))
		}
	case w.fault("store out", w.plan.out):
		w.storeOut.to = w.now + w.within(20*time.Second)
	case w.fault("log out", w.plan.out):
		w.logOut.to = w.now + w.within(20*time.Second)
		if w.storeOut.to <= w.now {
			w.tally["log out alone"]++
		}
	case w.fault("topic gone", w.plan.topic):
		w.topicGone.to = w.now + w.within(20*time.Second)
	case w.fault("loop stands still", w.plan.pause):
		l := p.loops[w.random.IntN(len(p.loops))]
		if l.pausedTo+10*maxPause < w.now { // slack allows for one within a deadline
			l.pausedTo = w.now + w.within(maxPause)
		}
	}
}

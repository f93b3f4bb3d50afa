package sim

import (
	"net/netip"
	"time"

	"sluice/gateway/driver"
	"sluice/pipeline"
	"sluice/pipeline/pack"
)

// process is one life of Sluice, from its start to its end by kill -9. All of it
// is memory and goes with it.
type process struct {
	w           *world
	shared      *driver.Shared
	listener    *driver.Listener
	loops       []*loop
	sockets     []*socket
	slabs       map[*byte]*slabUse // slabs that the store reads, by their first byte
	batcher     *pack.Batcher
	line        *line // of batcher
	dead        bool
	terminating bool
	shedBelow   uint32
	generations int // of the configuration, since the start
	opened      int
	security    *security
	users       *users
	verifier    *verifier // nil where mail is not verified
	paused      int
	closed      int
}

// loop is one thread of the reactor.
type loop struct {
	p        *process
	n        int
	loop     *driver.Loop
	open     int // sockets
	woken    bool
	inside   bool
	pausedTo time.Duration
}

func (w *world) start() {
	p := &process{w: w, slabs: map[*byte]*slabUse{}}
	w.process = p
	p.batcher, p.line = newBatcher(w.store, p)
	o := w.plan.options()
	o.Clock, o.Observer, o.MailLog, o.Gate = w, witness{p}, mailLog{witness{p}}, p
	o.Committer = &pipeline.Committer{Store: w.store, Log: w.log, Observer: witness{p}}
	if w.plan.parts {
		o.Committer.Store = partStore{w.store}
	}
	if w.plan.secure {
		p.security = &security{p: p, away: map[*driver.Handshake]bool{}}
		o.Security = p.security
	}
	p.users = &users{p: p}
	o.Authenticator = p.users
	if w.plan.verify {
		p.verifier = &verifier{p: p, of: map[*pipeline.Message]*check{}}
		o.Verifier = p.verifier
	}
	w.note("start", 0, 0)
	p.shared, p.listener = driver.NewShared(o), w.plan.listener()
	for n := range w.plan.loops {
		l := &loop{p: p, n: n}
		l.loop = p.shared.NewLoop(l, w.random)
		p.loops = append(p.loops, l)
		w.after(w.within(tickLength), l.tick)
	}
}

// call is one callback of the reactor. Callbacks of a dead process do not happen.
func (l *loop) call(f func()) {
	w := l.p.w
	if l.p.dead {
		return
	}
	if w.now < l.pausedTo {
		w.after(l.pausedTo-w.now, func() { l.call(f) })
		return
	}
	if l.inside {
		l.p.w.fail("one callback inside another")
		return
	}
	l.inside = true
	f()
	l.inside = false
}

func (l *loop) tick() {
	if l.p.dead {
		return
	}
	l.p.w.after(tickLength, l.tick)
	if l.p.w.now >= l.pausedTo {
		l.call(func() {
			l.loop.Tick(epoch.Add(l.p.w.now))
			if n := l.loop.Unnamed(driver.HeaderGrace); n > l.p.w.plan.unnamed {
				l.p.w.fail("%d connections of loop %d wait for their PROXY header, and %d may", n, l.n, l.p.w.plan.unnamed)
			}
		})
	}
}

// Wake implements driver.Waker.
func (l *loop) Wake() {
	w := l.p.w
	if l.woken || l.p.dead {
		return
	}
	l.woken = true
	w.after(w.within(3*time.Millisecond), func() {
		l.call(func() {
			l.woken = false
			l.loop.Run()
		})
	})
}

// ClassOf implements driver.Gate.
func (p *process) ClassOf(netip.Addr) uint8 { return 0 }

// Authenticated implements driver.Gate.
func (p *process) Authenticated(class uint8) uint8 { return class }

// Shed implements driver.Gate.
func (p *process) Shed(_ uint8, draw uint16) (string, bool) {
	return "lag", uint32(draw) < p.shedBelow
}

// Admit implements driver.Gate. It refuses as often as the log fails.
func (p *process) Admit() (cause string, trial bool) {
	if p.w.fault("no text", p.w.plan.logError) {
		return "log", false
	}
	return "", p.w.chance(500)
}

// MayStore implements driver.Gate.
func (p *process) MayStore() bool { return !p.w.fault("not stored", p.w.plan.logError) }

// kill ends the process at once. Objects and events that were taken stay, and those in
// flight may arrive.
func (w *world) kill(why string) {
	p := w.process
	w.note(why, 0, len(w.working))
	w.process, p.dead = nil, true
	for _, s := range p.sockets {
		s.vanish()
	}
	working := w.working
	w.working = nil
	for _, j := range working {
		if !j.effected && w.chance(500) {
			j.takeEffect()
		}
		j.done = true
	}
	p.line.end()
	w.after(w.within(2*time.Second), func() {
		if w.process == nil {
			w.start()
		}
	})
}

// quiet asserts that nothing is left behind when nothing goes on any more.
func (p *process) quiet() {
	w := p.w
	sessions, calls, unnamed, handshakes := 0, 0, 0, 0
	for _, l := range p.loops {
		sessions += l.loop.Sessions()
		calls += l.loop.Calls()
		unnamed += l.loop.Unnamed(-time.Hour)
		handshakes += l.loop.Handshakes()
	}
	for _, left := range []struct {
		what string
		n    int64
	}{
		{"connections in the wheel", int64(sessions)},
		{"sessions in the count of admission", p.shared.SessionsOpen()},
		{"sessions in the counts of addresses", p.shared.Located()},
		{"connections that wait for their PROXY header", int64(unnamed)},
		{"octets of credit that are out", p.shared.Budget.Used()},
		{"octets of part credit that are out", p.shared.Parts.Used()},
		{"messages that wait for credit", p.shared.Budget.Waiters() + p.shared.Parts.Waiters()},
		{"sessions that are paused", int64(p.paused)},
		{"calls that are not home", int64(calls)},
		{"handshakes that are not home", int64(handshakes)},
		{"attempts that are not home", int64(p.users.away)},
		{"handshakes that have a place", int64(p.security.places())},
		{"slabs that the store reads", int64(len(p.slabs))},
		{"sessions opened and not closed", int64(p.opened - p.closed)},
		{"messages that wait for a lane", int64(len(p.line.waiting))},
		{"uploads that are pending", int64(w.store.pending(p))},
		{"things in flight", int64(len(w.working))},
	} {
		if left.n != 0 {
			w.fail("after a quiet time there are %d %s", left.n, left.what)
		}
	}
	p.users.audit()
	p.verifier.audit()
	if b := p.batcher; b != nil {
		if b.Busy() != 0 || b.WaitingBytes() != 0 {
			w.fail("after a quiet time %d lanes are busy, %d bytes wait", b.Busy(), b.WaitingBytes())
		}
		b.Close()
	}
	for _, s := range p.sockets {
		if !s.closed {
			w.fail("after a quiet time a socket of sender %d is open", s.sender.n)
		}
	}
}

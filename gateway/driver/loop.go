package driver

import (
	"net/netip"
	"sync/atomic"
	"time"

	"sluice/codec"
	"sluice/gateway/session"
	"sluice/pipeline"
)

// Loop is one event loop: its connections, its timers, its pools. The reactor
// calls Open, Traffic, Closed, Tick and Run, always on the loop's own thread and
// never one inside another. Post alone may be called from anywhere.
type Loop struct {
	shared *Shared
	// generation is what was the newest at the last tick.
	generation *Generation
	waker      Waker
	random     pipeline.Random

	inbox pipeline.Inbox
	awake atomic.Bool

	now   time.Time // when the current callback began
	wheel wheel

	out       []byte // replies of the current turn
	text      []byte // of records that were opened
	wire      []byte // records to send
	scratch   []byte // where mail text goes that is not kept
	slabs     *pipeline.SlabPool
	messages  messagePool
	calls     []*Call                                  // free
	callsOut  int                                      // in flight
	partSent  func(*pipeline.Part)                     // onPart
	pieceRead func(*pipeline.Message, *pipeline.Piece) // onPiece

	handshakes []*Handshake            // begun and not done, the oldest first
	shaken     func(*Handshake)        // onHandshake
	called     func(*Call)             // onCall
	judged     func(*Conn, any, error) // onAttempt

	stalled   []*Conn  // sessions whose clients do not read, those listed first at the head
	unnamed   []*Conn  // connections that wait for their PROXY header, the oldest first
	holders   []holder // who may be asked for memory, in the present look
	relieveAt int64    // the tick of the next look

	draining bool
	refusal  Refusal
	accepted Acceptance
}

// scratchSize is what is discarded in one step.
const scratchSize = 64 << 10

// NewLoop makes a loop. The first one made owns the credit queue: it must be
// made before any other is used.
func (s *Shared) NewLoop(waker Waker, random pipeline.Random) *Loop {
	l := &Loop{
		shared:  s,
		waker:   waker,
		random:  random,
		scratch: make([]byte, scratchSize),
		slabs:   pipeline.NewSlabPool(s.SlabsKept),
		now:     s.Clock.Now(),
	}
	l.generation = s.generation.Load()
	l.messages.loop, l.partSent, l.shaken = l, l.onPart, l.onHandshake
	l.called, l.judged, l.pieceRead = l.onCall, l.onAttempt, l.onPiece
	l.wheel.tick = l.tick()
	if s.creditHome == nil {
		s.own(l)
	}
	return l
}

// tick returns the present tick; the first is 1.
func (l *Loop) tick() int64 { return int64(l.now.Sub(l.shared.epoch) / tickLength) }

// Open greets a new connection that was accepted at a listener, or refuses it. c is zero
// or was used before.
func (l *Loop) Open(c *Conn, socket Socket, client netip.AddrPort, at *Listener) {
	l.beginCallback()
	c.reset(socket, at, session.New(l.shared.newest(at), client, l.shared.nextSession()))
	c.openedAt = uint32(l.tick())
	l.turn(c, "open", func() {
		if at.Proxy {
			l.awaitProxy(c)
		} else {
			l.welcome(c)
		}
	})
	l.endCallback()
}

// welcome greets a client, or has it begin TLS first.
func (l *Loop) welcome(c *Conn) {
	if !c.listener.ImplicitTLS {
		l.greet(c)
		return
	}
	refusal := l.shared.admission.admit(c)
	if refusal == nil {
		refusal = l.shared.admission.admitAddress(c, c.session.Client().Addr(), l.generation)
	}
	if refusal != nil { // it could be told only in TLS
		l.shared.Observer.SessionRefused(refusal.Cause)
		l.shared.MailLog.Refused(&Refusal{Session: c.session.ID(), Client: c.session.Client(), Verb: whatTLS, Cause: refusal.Cause})
		l.finish(c, "refused")
		return
	}
	l.beginTLS(c)
}

// greet greets a client, or refuses its connection.
func (l *Loop) greet(c *Conn) {
	if trusts(c.listener.XclientNetworks, c.session.Client().Addr()) {
		c.session.AllowXclient()
	}
	refusal := l.shared.admission.admit(c)
	pressure := ""
	if refusal == nil {
		refusal, pressure = l.admitClient(c)
	}
	if refusal == nil {
		c.opened = true
		l.shared.Observer.SessionOpened()
		l.step(c, session.Event{Kind: session.Opened})
		return
	}
	l.shared.Observer.SessionRefused(refusal.Cause)
	l.shared.admission.release(c)
	l.countRefused(c)
	c.session.Abandon()
	l.refusal.Pressure = pressure
	l.reply(c, refusal, nil, whatGreeting)
}

// readmit admits a connection whose client is another now, and reports whether it did. If
// not, its session has ended.
func (l *Loop) readmit(c *Conn) bool {
	refusal, pressure := l.admitClient(c)
	if refusal == nil {
		return true
	}
	c.session.Abandon()
	l.refusal.Pressure = pressure
	l.reply(c, refusal, nil, codec.VerbXCLIENT.String())
	return false
}

// admitClient admits a connection by the address of its client, and draws its number for
// the gate. It returns the reply that refuses it, with the gate's cause if that is why.
func (l *Loop) admitClient(c *Conn) (refusal *codec.Reply, pressure string) {
	refusal = l.shared.admission.admitAddress(c, c.session.Client().Addr(), l.generation)
	if refusal != nil {
		return refusal, ""
	}
	l.draw(c)
	if pressure = l.shed(c); pressure != "" && !c.listener.Submission {
		return codec.ReplyPressure, pressure
	}
	return nil, ""
}

// countRefused counts a connection that is refused and lingers. When there are too many
// of those, it is closed at once.
func (l *Loop) countRefused(c *Conn) {
	c.refused = true
	c.crowded = l.shared.admission.refused.Add(1) > int64(l.shared.Admission.Refused)
}

// Traffic reads what has come for a connection.
func (l *Loop) Traffic(c *Conn) {
	if c.finished {
		return
	}
	l.beginCallback()
	l.turn(c, "traffic", func() {})
	l.endCallback()
}

// Owes reports whether the client of a connection has replies to come for what it
// has sent: if so, the end of its input is not the end of its session.
func (l *Loop) Owes(c *Conn) bool { return !c.finished && !c.lingering && c.waiting() }

// InputEnded takes the end of a client's input on a connection that owes it replies.
// The socket is not read any more, and is neither paused nor resumed: what it has
// in Input is the rest.
func (l *Loop) InputEnded(c *Conn) {
	if c.finished {
		return
	}
	l.beginCallback()
	l.turn(c, "ended", func() { c.ended = true })
	l.endCallback()
}

// Closed ends the session of a connection that broke, or whose client closed it and
// is owed nothing; how says which.
func (l *Loop) Closed(c *Conn, how Ending) {
	if c.finished {
		return
	}
	l.beginCallback()
	l.turn(c, "closed", func() { l.closed(c, how) })
	l.endCallback()
}

// closed ends a connection that its client has ended, or that is broken.
func (l *Loop) closed(c *Conn, how Ending) {
	switch {
	case c.finished:
	case c.unnamed:
		l.closedUnnamed(c, how)
	case c.tls.handshaking():
		l.closedInHandshake(c, how)
	default:
		l.end(c, "client", how)
	}
}

// Tick turns the timer wheel. asked is when the reactor asked for it; the time
// since then is the loop's delay.
func (l *Loop) Tick(asked time.Time) {
	defer l.recoverLoop("tick")
	l.beginCallback()
	l.generation = l.shared.generation.Load()
	l.shared.Observer.LoopDelay(l.now.Sub(asked).Seconds())
	l.wheel.turn(l.tick(), func(c *Conn) {
		l.turn(c, "timer", func() { l.onDeadline(c) })
	})
	l.displaceUnnamed()
	l.displaceHandshakes()
	if l.shared.creditHome == l {
		l.shared.sweep(l.now)
	}
	l.relieve()
	if !l.draining && l.shared.admission.draining.Load() {
		l.drain()
	}
	l.endCallback()
}

// Sessions returns the number of connections of this loop, for tests.
func (l *Loop) Sessions() int { return l.wheel.size }

// Unnamed returns the number of connections that wait for their PROXY header for longer
// than this, for tests.
func (l *Loop) Unnamed(than time.Duration) (n int) {
	for _, c := range l.unnamed {
		if l.tick()-int64(c.openedAt) > ticksOf(than) {
			n++
		}
	}
	return n
}

// Idle reports whether nothing waits in the loop's inbox, for tests.
func (l *Loop) Idle() bool { return l.inbox.Empty() }

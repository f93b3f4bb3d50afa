package driver

import (
	"net/netip"
	"slices"
	"time"

	"sluice/codec"
	"sluice/pipeline"
)

// Handshake is one TLS handshake. It belongs to its loop, or to Security, in turn.
type Handshake struct {
	pipeline.Task // takes it home; Home says to which loop
	Home          pipeline.Poster
	Client        netip.Addr
	In            []byte // records that have come; the next ones replace them
	Out           []byte // records to be sent; taken by the loop
	Gone          bool   // nobody waits for it any more
	Done          bool
	Records       Records       // when it has succeeded
	About         *pipeline.TLS // what was agreed then
	Cause         TLSCause      // when it has failed
	Err           error

	// Private belongs to Security.
	Private any

	owner *Conn // nil when nobody waits for it
	since int64 // the tick at which it began
}

// Waited reports whether a connection waits for the handshake, for tests on its loop.
func (h *Handshake) Waited() bool { return h.owner != nil }

// maxFlight bounds the bytes of records that a handshake is given at a time, unless one is
// larger: what the client says behind the last of them comes out of it as text.
const maxFlight = 16 << 10

// shakeHands takes the whole records that have come into the handshake, once all that was
// to be sent before has left.
func (l *Loop) shakeHands(c *Conn) {
	s := c.tls
	if s.away || c.unsent != nil || len(l.out) > 0 {
		return
	}
	in, n := c.input(), 0
	for n < len(in) {
		record, ok := codec.TLSRecord(in[n:])
		if !ok && n == 0 {
			l.failTLS(c, TLSProtocol, nil)
			return
		}
		if !ok || record == 0 || n > 0 && n+record > maxFlight {
			break
		}
		n += record
	}
	c.begun = c.begun || len(in) > 0
	if n == 0 {
		return
	}
	h := s.handshake
	if h == nil {
		h = &Handshake{Home: l, Client: c.session.Client().Addr(), owner: c, since: l.tick()}
		h.Task.Run = func() { l.shaken(h) }
	}
	h.In = append(h.In[:0], in[:n]...)
	c.discard(n)
	switch {
	case s.handshake != nil:
		s.away = true
		l.shared.Security.Continue(h)
	case l.shared.Security.Begin(h):
		s.handshake, s.away = h, true
		l.handshakes = append(l.handshakes, h)
	default:
		l.failTLS(c, TLSBusy, nil)
	}
}

// onHandshake takes a handshake that comes home.
func (l *Loop) onHandshake(h *Handshake) {
	if h.Done {
		l.forgetHandshake(h)
	}
	l.takeResult("result", h.owner, func(c *Conn) { l.handshakeCame(c, h) }, func() {
		if !h.Done {
			h.Gone = true
			l.shared.Security.Continue(h)
		}
	})
}

// handshakeCame goes on with a connection whose handshake has come home.
func (l *Loop) handshakeCame(c *Conn, h *Handshake) {
	s := c.tls
	s.away = false
	out := h.Out
	h.Out = nil
	if h.Done && h.Records == nil {
		s.handshake, h.owner = nil, nil
		c.writeLast(out)
		l.failTLS(c, h.Cause, h.Err)
		return
	}
	if l.put(c, out); c.finished || !h.Done {
		return
	}
	s.handshake, h.owner = nil, nil
	s.records = h.Records
	l.shared.Observer.TLSDone(h.About.Version, h.About.Resumed)
	text, err := s.records.Open(nil, nil)
	s.text = text
	c.session.Secure(h.About)
	if c.opened {
		l.classify(c) // who has authenticated before TLS has not
		l.setCommandDeadline(c)
	} else {
		l.greet(c)
	}
	if err != nil {
		l.recordFailed(c, err)
	}
}

// Handshakes returns the number of handshakes of this loop that are not done, for tests.
func (l *Loop) Handshakes() int { return len(l.handshakes) }

// forgetHandshake takes a handshake that is done off those of the loop.
func (l *Loop) forgetHandshake(h *Handshake) {
	if i := slices.Index(l.handshakes, h); i >= 0 {
		l.handshakes = slices.Delete(l.handshakes, i, i+1)
	}
}

// HandshakeGrace is how long a peer may take for a handshake however many do: two or three
// ways to the most distant one, and a packet that was lost.
const HandshakeGrace = 3 * time.Second

// displaceHandshakes ends the handshakes that have waited longest for their peer, when
// there are so many that soon nobody else could begin one. Each loop ends its part.
func (l *Loop) displaceHandshakes() {
	if len(l.handshakes) == 0 {
		return
	}
	surplus, of := l.shared.Security.Surplus()
	if surplus == 0 {
		return
	}
	ends := (surplus*len(l.handshakes) + of - 1) / of
	var waiting []*Conn
	for _, h := range l.handshakes {
		switch {
		case h.owner == nil: // it ends already
			ends--
		case !h.owner.tls.away && l.tick()-h.since > ticksOf(HandshakeGrace):
			waiting = append(waiting, h.owner)
		}
	}
	for _, c := range waiting[:max(min(ends, len(waiting)), 0)] {
		l.turn(c, "displace", func() { l.failTLS(c, TLSDisplaced, nil) })
	}
}

// dropHandshake leaves a handshake whose connection has ended to itself.
func (l *Loop) dropHandshake(c *Conn) {
	s := c.tls
	if s == nil || s.handshake == nil {
		return
	}
	h := s.handshake
	s.handshake, h.owner = nil, nil
	if s.away {
		l.shared.Security.Drop(h)
		return
	}
	h.Gone = true
	l.shared.Security.Continue(h)
}

// closedInHandshake ends a connection whose peer went away before the end of its
// handshake. One that sent nothing where TLS comes first is the health check of a load
// balancer.
func (l *Loop) closedInHandshake(c *Conn, how Ending) {
	if !c.opened && !c.begun {
		l.end(c, "client", how)
		return
	}
	l.failTLS(c, TLSGone, nil)
}

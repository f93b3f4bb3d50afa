package driver

import (
	"errors"
	"io"
	"net/netip"

	"sluice/codec"
	"sluice/gateway/session"
	"sluice/pipeline"
)

// TLS is a stage between a socket and its session (docs/decisions.md, TLS on the loop).
// Records stay with the socket until they are whole. They are opened on the loop, one
// after the other, as the session takes their text. Only the handshake, whose
// computations take milliseconds, runs on another goroutine.

// Security is the port for TLS. Its methods are called on event loops: they must not
// block.
type Security interface {
	// Room reports whether a client may begin a handshake now.
	Room(client netip.Addr) bool
	// Begin begins a handshake with the records in h.In on another goroutine, and reports
	// whether there was room. h comes home by its task when it needs more records, and once
	// more when h.Done. Until then it must not be touched.
	Begin(h *Handshake) bool
	// Continue goes on with a handshake that is at home and not done: with the records in
	// h.In, or to its end when h.Gone.
	Continue(h *Handshake)
	// Drop says that nobody waits any more for a handshake that is not at home, or on its
	// way. It comes home as ever.
	Drop(h *Handshake)
}

// Records is the record layer of a connection behind its handshake.
type Records interface {
	// Open appends the text of one whole record to dst. A record of length 0 brings what
	// the handshake had read and not used. The error is io.EOF after close_notify.
	Open(dst, record []byte) (text []byte, err error)
	// Flush appends the records that the layer itself has to send: answers and alerts.
	Flush(wire []byte) []byte
	// Seal appends text as records.
	Seal(wire, text []byte) []byte
	// Close appends close_notify.
	Close(wire []byte) []byte
}

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
}

// Waited reports whether a connection waits for the handshake, for tests on its loop.
func (h *Handshake) Waited() bool { return h.owner != nil }

// TLSCause is the cause for which a handshake or a connection with TLS failed.
type TLSCause string

// Causes of Observer.TLSFailed.
const (
	TLSProtocol    TLSCause = "protocol"         // the peer does not speak TLS as it should
	TLSNoShared    TLSCause = "no_shared_cipher" // no version, cipher or group in common
	TLSCertificate TLSCause = "certificate"      // one was refused: ours by the peer, or its own
	TLSTimeout     TLSCause = "timeout"
	TLSGone        TLSCause = "gone"   // the peer went away in the handshake
	TLSBusy        TLSCause = "busy"   // too many handshakes, no descriptor, or no memory
	TLSRecord      TLSCause = "record" // a broken record behind the handshake
	TLSDraining    TLSCause = "draining"
	// TLSInternal is a handshake that failed at our side, such as by a key that cannot sign.
	TLSInternal TLSCause = "internal"
)

// TLSCauses returns every cause of Observer.TLSFailed.
func TLSCauses() []TLSCause {
	return []TLSCause{TLSProtocol, TLSNoShared, TLSCertificate, TLSTimeout, TLSGone, TLSBusy, TLSRecord, TLSDraining, TLSInternal}
}

// secured is the TLS of one connection.
type secured struct {
	records   Records    // nil until the handshake has succeeded
	handshake *Handshake // from its first record to its end
	away      bool       // the handshake is with Security
	closed    bool       // the peer has sent close_notify
	notified  bool       // we have
	text      []byte     // of records that were opened; the session has not taken it
}

// handshaking reports whether a connection is between the begin of TLS and the end of its
// handshake: nothing may be read from it or sent to it but that.
func (s *secured) handshaking() bool { return s != nil && s.records == nil }

// computing reports whether a handshake is in flight that needs no input now.
func (s *secured) computing() bool { return s != nil && s.away }

// established reports whether a connection has a record layer.
func (s *secured) established() bool { return s != nil && s.records != nil }

// inputOver reports whether the client sends nothing more.
func (c *Conn) inputOver() bool { return c.ended || c.tls != nil && c.tls.closed }

// errNoRecord is the error of input that is no TLS record.
var errNoRecord = errors.New("not a TLS record")

// maxFlight bounds the bytes of records that a handshake is given at a time, unless one is
// larger: what the client says behind the last of them comes out of it as text.
const maxFlight = 16 << 10

// beginTLS has a connection speak TLS from its next byte on.
func (l *Loop) beginTLS(c *Conn) {
	c.tls = &secured{}
	l.setDeadline(c, l.generation.Timeouts.Handshake)
}

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
		h = &Handshake{Home: l, Client: c.session.Client().Addr(), owner: c}
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
		l.handshakes++
	default:
		l.failTLS(c, TLSBusy, nil)
	}
}

// onHandshake takes a handshake that comes home.
func (l *Loop) onHandshake(h *Handshake) {
	if h.Done {
		l.handshakes--
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
		l.setCommandDeadline(c)
	} else {
		l.greet(c)
	}
	if err != nil {
		l.recordFailed(c, err)
	}
}

// Handshakes returns the number of handshakes of this loop that are not done, for tests.
func (l *Loop) Handshakes() int { return l.handshakes }

// failTLS ends a connection whose TLS fails. What there is of an alert was sent.
func (l *Loop) failTLS(c *Conn, cause TLSCause, err error) {
	l.noteTLS(c, cause, err)
	l.finish(c, "tls")
}

// noteTLS counts and logs a failure of TLS.
func (l *Loop) noteTLS(c *Conn, cause TLSCause, err error) {
	l.shared.Observer.TLSFailed(string(cause))
	l.shared.MailLog.Refused(&Refusal{
		Session: c.session.ID(), Client: c.session.Client(), Helo: c.session.Helo(), Verb: whatTLS, Cause: "tls_" + string(cause), Err: err,
	})
}

// whatTLS stands for the command of a connection whose TLS failed.
const whatTLS = "TLS"

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

// pumpRecords opens records and feeds their text to the session, until there is none, or
// until the session waits for something else. It reports whether it stopped because many
// replies were gathered.
func (l *Loop) pumpRecords(c *Conn) (more bool) {
	s, text := c.tls, append(l.text[:0], c.tls.text...)
	if s.closed {
		c.discard(len(c.input()))
	}
	for {
		if len(text) > 0 {
			text = text[l.consume(c, text):]
		}
		if c.finished {
			return false
		}
		if len(l.out) >= outHigh {
			more = true
			break
		}
		if s.closed || c.waiting() || c.session.Phase() == session.PhaseClosed {
			break
		}
		record, ok := codec.TLSRecord(c.input())
		if ok && record == 0 {
			break
		}
		if !ok {
			l.recordFailed(c, errNoRecord)
			return false
		}
		var err error
		text, err = s.records.Open(append(l.text[:0], text...), c.input()[:record])
		l.text = text[:0]
		c.discard(record)
		if err != nil && !l.recordFailed(c, err) {
			return false
		}
	}
	l.keepText(s, text)
	return more
}

// keepText keeps the text that the session did not take.
func (l *Loop) keepText(s *secured, text []byte) {
	if len(text) == 0 {
		s.text = nil
		return
	}
	s.text = append(s.text[:0], text...)
}

// recordFailed takes the error of a record, and reports whether the session goes on:
// close_notify is the end of its input only.
func (l *Loop) recordFailed(c *Conn, err error) bool {
	if errors.Is(err, io.EOF) {
		c.tls.closed = true
		c.discard(len(c.input()))
		return true
	}
	c.writeLast(c.tls.records.Flush(l.wire[:0]))
	l.failTLS(c, TLSRecord, err)
	return false
}

// seal returns the records to send for the replies out. They are valid until the next.
func (l *Loop) seal(c *Conn, out []byte) []byte {
	wire := c.tls.records.Flush(l.wire[:0])
	if len(out) > 0 {
		wire = c.tls.records.Seal(wire, out)
	}
	l.wire = wire[:0]
	return wire
}

// notify sends close_notify once, as the end of our stream is to come. It reports whether
// all has left.
func (l *Loop) notify(c *Conn) bool {
	if s := c.tls; s.established() && !s.notified {
		s.notified = true
		l.put(c, s.records.Close(l.wire[:0]))
	}
	return !c.finished && c.unsent == nil
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

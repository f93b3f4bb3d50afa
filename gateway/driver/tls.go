package driver

import (
	"errors"
	"io"
	"net/netip"

	"sluice/codec"
	"sluice/gateway/session"
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
	// Surplus returns how many handshakes have begun beyond the number from which on those
	// that wait longest shall end, and how many there are.
	Surplus() (surplus, begun int)
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
	// TLSDisplaced is a handshake that waited for its peer longest when there were too many.
	TLSDisplaced TLSCause = "displaced"
	// TLSInternal is a handshake that failed at our side, such as by a key that cannot sign.
	TLSInternal TLSCause = "internal"
)

// TLSCauses returns every cause of Observer.TLSFailed.
func TLSCauses() []TLSCause {
	return []TLSCause{TLSProtocol, TLSNoShared, TLSCertificate, TLSTimeout, TLSGone, TLSBusy, TLSRecord, TLSDraining, TLSDisplaced, TLSInternal}
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

// beginTLS has a connection speak TLS from its next byte on.
func (l *Loop) beginTLS(c *Conn) {
	c.tls = &secured{}
	l.setDeadline(c, l.generation.Timeouts.Handshake)
}

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

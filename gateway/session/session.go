// Package session implements the SMTP policy of one connection as a state machine (RFC
// 5321 §4.1.4). Step takes an event and returns actions. The package does no I/O, has no
// clock and starts no goroutine. Results of slow work come back as events, so replies
// leave in the order of their commands.
package session

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"

	"sluice/codec"
	"sluice/pipeline"
)

// Pool supplies the message of a new transaction.
type Pool interface {
	Take() *pipeline.Message
}

// ID tells the sessions of a process apart in its log.
type ID uint32

// Append appends the eight hexadecimal digits of the id to dst.
func (id ID) Append(dst []byte) []byte {
	var octets [4]byte
	binary.BigEndian.PutUint32(octets[:], uint32(id))
	return hex.AppendEncode(dst, octets[:])
}

// String returns the eight hexadecimal digits of the id.
func (id ID) String() string { return string(id.Append(nil)) }

// Session is one SMTP session. Between transactions it holds all of the session's state.
// The state of a transaction is in one pooled message.
type Session struct {
	settings *Settings
	message  *pipeline.Message // nil between transactions
	helo     string
	peer     *peer // nil when nothing is known of the client but its address
	client   netip.AddrPort
	messages uint32
	id       ID
	errors   uint16 // since the last accepted message, as the next three
	refusals uint16
	surplus  uint16 // recipients over the limit of a message
	junk     uint16
	state    codec.State
	phase    Phase
	esmtp    bool
	draining bool
	mayName  bool // XCLIENT is taken and offered
}

// peer is what is known of a client beside its address.
type peer struct {
	proxy    *pipeline.Proxy // who named the client, nil for nobody
	tls      *pipeline.TLS   // nil for plain text
	auth     *pipeline.Auth  // who it has proven to be, nil for nobody
	exchange *exchange       // the last one of AUTH
}

// known returns what is known of the client.
func (s *Session) known() peer {
	if s.peer == nil {
		return peer{}
	}
	return *s.peer
}

// New returns the session of a client.
func New(settings *Settings, client netip.AddrPort, id ID) Session {
	return Session{settings: settings, client: client, id: id}
}

// ID returns what tells the session apart in the log.
func (s *Session) ID() ID { return s.id }

// Phase returns the phase: what the session waits for.
func (s *Session) Phase() Phase { return s.phase }

// Message returns the message of the open transaction, nil between transactions.
func (s *Session) Message() *pipeline.Message { return s.message }

// Client returns the address of the client.
func (s *Session) Client() netip.AddrPort { return s.client }

// Helo returns the argument of the last HELO or EHLO.
func (s *Session) Helo() string { return s.helo }

// Settings returns the settings that the session shares with all others.
func (s *Session) Settings() *Settings { return s.settings }

// Tolerates reports whether messages from this client may contain a bare CR, a bare LF or
// a NUL.
func (s *Session) Tolerates() bool {
	if s.settings.Tolerate {
		return true
	}
	client := s.client.Addr().Unmap()
	for _, network := range s.settings.TolerateFrom {
		if network.Contains(client) {
			return true
		}
	}
	return false
}

// Step handles one event and returns the actions for the driver.
func (s *Session) Step(ev Event, pool Pool) Actions {
	if s.phase == PhaseClosed {
		return Actions{}
	}
	a := s.step(ev, pool)
	s.charge(ev, a.Reply)
	if a.Reply != nil && a.Reply.Close {
		s.phase = PhaseClosed
		if s.message != nil {
			a.Do, a.Message = DoRelease, s.message
			s.message = nil
		}
	}
	return a
}

func (s *Session) step(ev Event, pool Pool) Actions {
	switch ev.Kind {
	case Opened:
		s.renew(ev.Settings)
		return Actions{Reply: s.settings.greeting}
	case Commanded:
		return s.command(ev, pool)
	case Responded:
		return s.response(ev)
	case Judged:
		return s.judged(ev.Answer)
	case InputBehindData:
		return Actions{Reply: codec.ReplyInputBehindData}
	case InputAhead:
		return Actions{Reply: codec.ReplyTooMuchPipelined}
	case PauseFailed:
		return Actions{Reply: codec.ReplyNoDescriptor, Err: ev.Err}
	case CreditGranted:
		s.phase = PhaseBody
		return Actions{Reply: codec.ReplyStartData, Do: DoReceive}
	case BodyEnded:
		return s.bodyEnded(ev.EventLimit)
	case BodyOverflowed:
		if pipeline.KindOf(s.message.Result.Err) == pipeline.KindSmuggling {
			return Actions{Reply: codec.ReplySmuggling} // padding past twice the limit must not hide the ambiguity
		}
		return Actions{Reply: codec.ReplyTooLargeBye}
	case Outcome:
		return s.outcome(s.message.Result.Err)
	case TimedOut:
		return s.timedOut()
	case Drained:
		return s.drained()
	case Exhausted:
		return Actions{Reply: s.exhausted()}
	}
	return Actions{}
}

// renew takes the newest settings, if there are any.
func (s *Session) renew(newest *Settings) {
	if newest != nil {
		s.settings = newest
	}
}

// release ends the transaction and releases its message.
func (s *Session) release(reply *codec.Reply) Actions {
	a := Actions{Reply: reply}
	s.phase = PhaseCommand
	if s.state != codec.StateStart {
		s.state = codec.StateReady
	}
	if s.message != nil {
		a.Do, a.Message = DoRelease, s.message
		s.message = nil
	}
	return a
}

func (s *Session) timedOut() Actions {
	switch s.phase {
	case PhaseCredit:
		return s.release(codec.ReplyNoBodyMemory)
	case PhaseOutcome:
		return s.outcome(pipeline.Overdue(s.message.Stage))
	}
	return Actions{Reply: codec.ReplyTimeout}
}

// drained ends a session without a transaction at once. Any other session ends with its
// transaction.
func (s *Session) drained() Actions {
	s.draining = true
	if s.Settled() {
		return Actions{Reply: codec.ReplyDraining}
	}
	return Actions{}
}

// Abandon ends the session without a reply, because its client is gone. It returns the
// message of the open transaction, if any.
func (s *Session) Abandon() *pipeline.Message {
	m := s.message
	s.message, s.phase = nil, PhaseClosed
	return m
}

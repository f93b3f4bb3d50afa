package driver

import (
	"sluice/codec"
	"sluice/gateway/session"
)

// Conn is one connection with its session. For an idle client nothing else is kept in
// memory, apart from what the reactor keeps.
type Conn struct {
	stream
	listener *Listener
	session  session.Session
	call     *Call // in flight, nil for none

	// The wheel's links. A connection is in the wheel from Open to its end.
	next, prev *Conn
	unsent     *unsent // what the kernel did not take yet, nil for nothing

	// Ticks. 32 bits last for 13 years.
	slot     uint32 // at whose slot of the wheel it is linked, 0 for none
	deadline uint32 // at which it is due, not before slot
	phaseEnd uint32 // at which the session's phase is over
	stallAt  uint32 // at which unsent replies end the session

	cells      uint64 // of the address with which it is counted
	openedAt   uint32 // tick
	decoder    codec.Decoder
	lingerLeft int32  // bytes to read and drop before the close
	lingerMark int32  // what lingerLeft was when the least rate was last looked at
	carried    int32  // bytes of input that were read and wait, while it is paused
	logSecond  uint32 // the second in which refusals were logged last
	leftOut    uint32 // refusals since then that were not
	draw       uint16
	logged     uint8 // how many refusals were logged in that second
	class      uint8
	counted    bool // in the process's count of connections
	located    bool // in the count of its address
	opened     bool // was greeted
	unnamed    bool // its PROXY header has not come yet
	begun      bool // but a part of it has, or of a TLS handshake
	refused    bool // answered 421 in place of the greeting
	crowded    bool // refused when enough of those linger already
	trial      bool // its message is a trial of the gate
	paused     bool // does not read
	stalled    bool // in the list of sessions whose clients do not read
	ended      bool // its client has sent the end of its input and may still read
	sends      bool // was sending mail text when the last word was said
	lingering  bool // has said its last word and half-closed
	finished   bool // ended; the socket is closed
	quit       bool // ended by QUIT
}

// reset prepares c for a new client.
func (c *Conn) reset(socket Socket, at *Listener, s session.Session) {
	*c = Conn{stream: stream{socket: socket}, listener: at, session: s}
}

// waiting reports whether input must stay unread for now.
func (c *Conn) waiting() bool {
	if c.unsent != nil || c.tls.computing() {
		return true
	}
	switch c.session.Phase() {
	case session.PhaseClosed: // whatever it waited for
		return false
	case session.PhaseCommand:
		return c.call != nil
	case session.PhaseCredit, session.PhaseOutcome, session.PhaseAuth:
		return true
	case session.PhaseBody:
		return c.awaitingMemory()
	}
	return false
}

// Unread returns the number of bytes that have come and were not taken, for tests.
func (c *Conn) Unread() int { return c.unread() }

// Opened returns the number of bytes of text that were opened and not taken, for tests.
func (c *Conn) Opened() int { return c.unread() - len(c.input()) }

// Waits reports whether input must stay unread for now, for tests.
func (c *Conn) Waits() bool { return !c.finished && !c.lingering && c.waiting() }

// awaitingMemory reports whether the message being received is blocked on body memory.
func (c *Conn) awaitingMemory() bool {
	m := c.session.Message()
	return c.session.Phase() == session.PhaseBody && m.Memory.Request.InFlight() && m.Result.Err == nil
}

package driver

import (
	"net/netip"

	"sluice/codec"
	"sluice/gateway/session"
)

// Conn is one connection with its session. An idle one is all that is kept in
// memory for its client, besides what the reactor keeps.
type Conn struct {
	session session.Session
	socket  Socket
	decoder codec.Decoder

	// The wheel's links. A connection is in the wheel from Open to its end.
	next, prev *Conn
	slot       int64 // the tick at whose slot it is linked
	deadline   int64 // the tick at which it is due, not before slot

	phaseEnd int64 // the tick at which the session's phase is over

	unsent  []byte // replies that the kernel did not take yet
	stallAt int64  // the tick at which unsent replies end the session

	openedAt   int64 // tick
	lingerLeft int32 // octets to read and drop before the close
	draw       uint16
	class      uint8
	counted    bool // in the counts of admission
	refused    bool // answered 421 in place of the greeting
	lingering  bool // has said its last word and half-closed
	finished   bool // ended; the socket is closed
	quit       bool // ended by QUIT
}

// Reset prepares c for a new client.
func (c *Conn) reset(socket Socket, settings *session.Settings, client netip.AddrPort) {
	*c = Conn{socket: socket, session: session.New(settings, client)}
}

// waiting says whether input must stay unread for now.
func (c *Conn) waiting() bool {
	if len(c.unsent) > 0 {
		return true
	}
	phase := c.session.Phase()
	return phase == session.PhaseCredit || phase == session.PhaseOutcome
}

package driver

import "net/netip"

// Gate says which sessions are shed while the pipeline is under pressure. Its
// methods are called on event loops: they must not block, lock or allocate.
type Gate interface {
	// ClassOf gives the class of a client by its address.
	ClassOf(client netip.Addr) uint8
	// Shed says whether a session of a class is shed now, and by which cause, which
	// is bounded and never empty then. draw is the session's own number: it is drawn once, when the session
	// opens, so that pressure that holds sheds the same share of sessions and does
	// not kill every long one in the end.
	Shed(class uint8, draw uint16) (cause string, shed bool)
}

// shed asks the gate about a session and gives the cause for which it is to go,
// empty when it may stay.
func (l *Loop) shed(c *Conn) string {
	if l.shared.Gate == nil {
		return ""
	}
	if cause, shed := l.shared.Gate.Shed(c.class, c.draw); shed {
		return cause
	}
	return ""
}

// draw gives a new session its number and its class.
func (l *Loop) draw(c *Conn) {
	if l.shared.Gate != nil {
		c.draw = uint16(l.random.Uint64())
		c.class = l.shared.Gate.ClassOf(c.session.Client().Addr())
	}
}

package pressure

import (
	"math"
	"net/netip"
)

// snapshot is an immutable decision, as the event loops read it.
type snapshot []threshold

type threshold struct {
	below uint32 // draws below this are shed: 0 none, 65536 all
	cause string
}

func (g *Gate) publish(d Decision) {
	s := make(snapshot, len(d.Verdicts))
	for i, v := range d.Verdicts {
		s[i] = threshold{below: uint32(math.Ceil(v.Fraction * (1 << 16))), cause: v.Cause}
	}
	g.now.Store(&s)
}

// Shed reports whether a session of class is shed now, and for which cause. draw is the
// session's own uniformly distributed number, drawn once when it opens. With a new draw
// at each MAIL every long session would be shed sooner or later. Shed neither locks nor
// allocates.
func (g *Gate) Shed(class uint8, draw uint16) (cause string, shed bool) {
	s := *g.now.Load()
	if int(class) >= len(s) {
		class = 0
	}
	if t := &s[class]; uint32(draw) < t.below {
		return t.cause, true
	}
	return CauseOpen, false
}

// ClassOf returns the class of a client that has not authenticated. It neither locks nor
// allocates.
func (g *Gate) ClassOf(client netip.Addr) uint8 {
	client = client.Unmap().WithZone("")
	for i := range g.clients {
		for _, network := range g.clients[i].Networks {
			if network.Contains(client) {
				return uint8(i + 1)
			}
		}
	}
	return 0
}

// Authenticated returns the class of a client of class once it has authenticated: that
// class or the first one for authenticated clients, whichever is first in
// Settings.Classes.
func (g *Gate) Authenticated(class uint8) uint8 {
	for i := range g.clients {
		if n := uint8(i + 1); n == class || g.clients[i].Authenticated {
			return n
		}
	}
	return class
}

package driver

import (
	"errors"
	"net/netip"
	"sync/atomic"

	"sluice/codec"
	"sluice/pipeline"
)

// AdmissionLimits bound who may open a session.
type AdmissionLimits struct {
	Connections int // sessions open in the process
	// Refused bounds how many refused connections may linger until their 421 was
	// read. Past it they are closed at once: when connections are short,
	// descriptors matter more than manners.
	Refused int
	// Unnamed is how many connections of one loop may wait for their PROXY header for
	// longer than HeaderGrace; 0 for no bound.
	Unnamed int
}

// admission counts sessions in the whole process. It is safe for concurrent use
// and never blocks.
type admission struct {
	limits    AdmissionLimits
	open      atomic.Int64
	refused   atomic.Int64
	addresses *addressCounts
	draining  atomic.Bool
}

// admit counts a connection in the process, unless it was counted, or returns the reply
// that refuses it.
func (a *admission) admit(c *Conn) *codec.Reply {
	if a.draining.Load() {
		return codec.ReplyDraining
	}
	if c.counted {
		return nil
	}
	if a.open.Add(1) > int64(a.limits.Connections) {
		a.open.Add(-1)
		return codec.ReplyTooManyConnections
	}
	c.counted = true
	return nil
}

// admitAddress counts a connection with the address of its client, or returns the reply
// that refuses it.
func (a *admission) admitAddress(c *Conn, client netip.Addr, g *Generation) *codec.Reply {
	a.leaveAddress(c)
	cells := a.addresses.cells(client)
	if count := a.addresses.add(cells); g.ConnectionsPerIP != 0 &&
		int(count) > g.ConnectionsPerIP && !trusts(g.Trusted, client) {
		a.addresses.drop(cells)
		return codec.ReplyTooManyFromAddress
	}
	c.cells, c.located = cells, true
	return nil
}

// leaveAddress ends the count of a connection with an address.
func (a *admission) leaveAddress(c *Conn) {
	if c.located {
		c.located = false
		a.addresses.drop(c.cells)
	}
}

// release counts a connection out.
func (a *admission) release(c *Conn) {
	a.leaveAddress(c)
	if c.counted {
		c.counted = false
		a.open.Add(-1)
	}
	a.leaveRefused(c)
}

// leaveRefused ends the count of a connection with those that are refused.
func (a *admission) leaveRefused(c *Conn) {
	if c.refused {
		c.refused = false
		a.refused.Add(-1)
	}
}

// shed asks the gate about a session. It returns the cause for which the session is
// shed, empty when it may stay.
func (l *Loop) shed(c *Conn) string {
	if l.shared.Gate == nil {
		return ""
	}
	if cause, shed := l.shared.Gate.Shed(c.class, c.draw); shed {
		return cause
	}
	return ""
}

// admit asks the gate about the text of a message. It returns the cause for which no text
// may be received, empty when it may.
func (l *Loop) admit(c *Conn) (cause string) {
	c.trial = false
	if l.shared.Gate != nil {
		cause, c.trial = l.shared.Gate.Admit()
	}
	return cause
}

// errLogAway is the failure of a message whose text had begun to come when the event log
// could no longer be used.
var errLogAway = &pipeline.Failure{Kind: pipeline.KindTemporary, Op: "event log", Err: errors.New("cannot be used: not stored")}

// mayStore reports whether a complete message may be stored.
func (l *Loop) mayStore(c *Conn) bool {
	return c.trial || l.shared.Gate == nil || l.shared.Gate.MayStore()
}

// draw sets the number and the class of a new session.
func (l *Loop) draw(c *Conn) {
	if l.shared.Gate != nil {
		c.draw = uint16(l.random.Uint64())
	}
	l.classify(c)
}

// classify sets the class of a session whose client has not proven who it is.
func (l *Loop) classify(c *Conn) {
	if l.shared.Gate != nil {
		c.class = l.shared.Gate.ClassOf(c.session.Client().Addr())
	}
}

package driver

import (
	"time"

	"sluice/gateway/session"
	"sluice/pipeline"
)

// rateWindow is the time over which a client must keep the least rate, unless
// timeouts.data_block is shorter: a network may stand still for some seconds.
const rateWindow = time.Minute

func (l *Loop) rateWindow() int64 { return ticksOf(min(rateWindow, l.generation.Timeouts.DataBlock)) }

// setTextDeadline sets the deadline for the next mail text: of a piece of it (RFC 5321
// §4.5.3.2.5), or earlier, of all that must have come by then.
func (l *Loop) setTextDeadline(c *Conn, m *pipeline.Message) {
	switch {
	case c.awaitingMemory():
		l.setDeadline(c, l.generation.Timeouts.Credit)
		return
	case l.generation.MinDataRate == 0:
		l.setDeadline(c, l.generation.Timeouts.DataBlock)
		return
	case m.Rate.Since == 0:
		m.Rate.Since, m.Rate.Decoded = l.tick(), m.Decoded
	}
	left := m.Rate.Since + l.rateWindow() - l.tick()
	l.setDeadline(c, time.Duration(max(0, left))*tickLength)
}

// meetsMinRate reports whether a client whose deadline has come has kept the least
// rate until then, and begins the next window.
func (l *Loop) meetsMinRate(c *Conn) bool {
	m := c.session.Message()
	if l.generation.MinDataRate == 0 || c.session.Phase() != session.PhaseBody || m.Rate.Since == 0 {
		return false
	}
	over := l.tick() - m.Rate.Since
	if over < l.rateWindow() || m.Decoded-m.Rate.Decoded < l.generation.MinDataRate*over/ticksOf(time.Second) {
		return false
	}
	m.Rate.Since, m.Rate.Decoded = l.tick(), m.Decoded
	return true
}

package driver

import (
	"time"

	"sluice/gateway/session"
)

// await sets the deadline of the phase that begins now.
func (l *Loop) await(c *Conn, d time.Duration) {
	if c.finished || c.lingering {
		return
	}
	c.phaseEnd = l.tick() + ticksOf(d) + 1 // the present tick is partly over
	if len(c.unsent) == 0 {                // else the wheel is busy sending again; resume sets it
		l.wheel.set(c, c.phaseEnd)
	}
}

// awaitCommand sets the deadline for the next command.
func (l *Loop) awaitCommand(c *Conn) {
	switch {
	case c.session.Phase() != session.PhaseCommand:
	case c.session.Helo() == "":
		l.await(c, l.shared.Timeouts.Greeting)
	default:
		l.await(c, l.shared.Timeouts.Command)
	}
}

// due is called when a connection's place in the wheel has come.
func (l *Loop) due(c *Conn) {
	switch {
	case c.lingering:
		l.lingered(c)
	case len(c.unsent) > 0:
		l.resend(c)
	case c.starved():
		m := c.session.Message()
		l.creditWaited(m, "refused")
		l.giveUp(m, errNoMemory)
		l.awaitText(c, m)
		l.pump(c)
		l.flush(c)
	case l.fastEnough(c):
		l.awaitText(c, c.session.Message())
	default:
		phase := c.session.Phase()
		m := c.session.Message()
		unread := c.unread() > 0
		l.step(c, session.Event{Kind: session.TimedOut})
		if phase == session.PhaseCredit {
			l.creditWaited(m, "refused")
			if unread {
				l.step(c, session.Event{Kind: session.InputBehindData})
			}
		}
		l.pump(c)
		l.flush(c)
	}
}

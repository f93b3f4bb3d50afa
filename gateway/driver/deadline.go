package driver

import (
	"time"

	"sluice/gateway/session"
	"sluice/pipeline"
)

// setDeadline sets the deadline of the phase that begins now.
func (l *Loop) setDeadline(c *Conn, d time.Duration) {
	if c.finished || c.lingering {
		return
	}
	c.phaseEnd = uint32(l.tick() + ticksOf(d) + 1) // the present tick is partly over
	if c.unsent == nil {                           // else the wheel is busy sending again; resume sets it
		l.wheel.set(c, int64(c.phaseEnd))
	}
}

// setCommandDeadline sets the deadline for the next command.
func (l *Loop) setCommandDeadline(c *Conn) {
	switch {
	case c.session.Phase() != session.PhaseCommand && c.session.Phase() != session.PhaseResponse:
	case c.call != nil: // its limit holds, whatever the session is told meanwhile
	case c.session.Helo() == "":
		l.setDeadline(c, l.generation.Timeouts.Greeting)
	default:
		l.setDeadline(c, min(l.generation.Timeouts.Command, l.envelopeLeft(c.session.Message())))
	}
}

// setStageDeadline sets the deadline of the stage that a complete message is in.
func (l *Loop) setStageDeadline(c *Conn, m *pipeline.Message) {
	since := l.now.Sub(m.ReceivedAt)
	left := l.generation.Timeouts.Message - since
	switch {
	case m.Stage == pipeline.StageStoring:
		left = min(left, l.generation.Timeouts.Store)
	case m.Stage == pipeline.StageVerifying, m.HeaderUnread():
		left = min(left, l.generation.Verdict-since)
	}
	l.setDeadline(c, left)
}

// onDeadline is called when the deadline of a connection has come.
func (l *Loop) onDeadline(c *Conn) {
	switch {
	case c.lingering:
		l.lingered(c)
	case c.unnamed:
		l.refuseProxy(c, proxyLate)
	case c.unsent != nil:
		l.resend(c)
		switch {
		case l.wheel.tick < int64(c.phaseEnd) || c.finished:
		case c.call != nil:
			l.callOverdue(c)
		case c.tls.handshaking():
			l.failTLS(c, TLSTimeout, nil)
		}
	case c.tls.handshaking():
		l.failTLS(c, TLSTimeout, nil)
	case c.call != nil:
		l.callOverdue(c)
	case c.holdsAnswer():
		l.judgeHeld(c)
	case c.awaitingMemory():
		m := c.session.Message()
		l.creditWaited(m, "refused")
		l.failBody(m, errNoMemory)
		l.setTextDeadline(c, m)
	case l.verdictOverdue(c):
	case l.meetsMinRate(c):
		l.setTextDeadline(c, c.session.Message())
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
	}
}

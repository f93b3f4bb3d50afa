package driver

import (
	"time"

	"sluice/gateway/session"
	"sluice/pipeline"
)

// The kernel resets a connection that is closed with input unread, and the reset may
// overtake the reply. A sender would see a write error and try a 554 again for days. So
// the last reply is followed by the end of our stream, and the rest of the input is read
// and dropped, within these bounds.
const (
	maxLinger  = 1 << 20 // a pipelined envelope with 3,000 long recipients
	lingerTime = 2 * time.Second
)

// A client that sends mail text reads nothing before it is done. The rest of its text is
// dropped at the pace of its arrival: for timeouts.message at most, and as long as it
// keeps the least rate in each window. That costs no memory.
const (
	maxTextLinger    = 1 << 30
	textLingerWindow = 10 * time.Second
)

// closeIfDone ends a turn. It hangs up after the last reply, or when all commands before
// the end of input are answered.
func (l *Loop) closeIfDone(c *Conn) {
	switch {
	case c.finished || c.lingering || c.unsent != nil:
	case c.session.Phase() == session.PhaseClosed:
		if l.notify(c) {
			l.hangUp(c)
		}
	case c.inputOver() && !c.waiting():
		switch {
		case c.tls.handshaking():
			l.closedInHandshake(c, EndClosed)
		case l.notify(c):
			l.finish(c, "client")
		}
	}
	if c.crowded && !c.finished {
		l.finish(c, "refused")
	}
}

// hangUp ends a connection whose last reply was sent.
func (l *Loop) hangUp(c *Conn) {
	// A client that said QUIT sends nothing more (RFC 5321 §4.1.1.10).
	switch {
	case c.quit && (c.inputOver() || c.unread() == 0):
		l.finish(c, "quit")
		return
	case c.inputOver(): // nothing is in flight
		l.finish(c, "refused")
		return
	}
	c.lingering, c.lingerLeft = true, maxLinger
	window := lingerTime
	if c.sends = c.sends && !l.draining; c.sends {
		c.lingerLeft, window = maxTextLinger, textLingerWindow
		c.phaseEnd = uint32(l.tick() + ticksOf(l.generation.Timeouts.Message))
	}
	c.lingerMark = c.lingerLeft
	c.detachCall()
	c.closeWrite()
	if c.paused {
		l.resumeReading(c)
		if c.finished {
			return
		}
	}
	l.wheel.set(c, l.tick()+ticksOf(window))
	l.drop(c)
}

// lingered ends a connection whose time to linger is over. A client that still sends
// text fast enough has more time.
func (l *Loop) lingered(c *Conn) {
	least := max(1, l.generation.MinDataRate*int64(textLingerWindow/time.Second))
	if !c.sends || l.tick() >= int64(c.phaseEnd) || int64(c.lingerMark-c.lingerLeft) < least {
		l.finish(c, "refused")
		return
	}
	c.lingerMark = c.lingerLeft
	l.wheel.set(c, min(int64(c.phaseEnd), l.tick()+ticksOf(textLingerWindow)))
}

// drop discards the input of a lingering connection, up to its bound.
func (l *Loop) drop(c *Conn) {
	n := c.unread()
	if n == 0 {
		return
	}
	c.dropInput()
	c.lingerLeft -= int32(n) // no more than a read
	if c.lingerLeft < 0 {
		l.finish(c, "refused")
	}
}

// finish ends a session and its connection in any state. end is a bounded label.
func (l *Loop) finish(c *Conn, end string) {
	how := Ending(end)
	if end == "client" {
		how = EndClosed
	}
	l.end(c, end, how)
}

// end is finish with how the connection ended, for the log.
func (l *Loop) end(c *Conn, end string, how Ending) {
	if c.finished {
		return
	}
	c.finished = true
	l.wheel.remove(c)
	l.unheardAnswer(c)
	c.detachCall()
	l.forgetStalled(c)
	l.forgetUnnamed(c)
	l.releaseCarried(c)
	l.dropHandshake(c)
	l.refusedUnheard(c)
	if m := c.session.Abandon(); m != nil {
		if m.Memory.Request.InFlight() {
			l.creditWaited(m, "gone")
		}
		if m.Stage >= pipeline.StageReceiving {
			l.messageDone(c, m, nil)
			l.lost(c, m, how)
		}
		l.release(m)
	}
	if c.leftOut > 0 {
		l.shared.MailLog.LeftOut(c.session.ID(), c.session.Client(), int(c.leftOut))
	}
	if c.opened {
		l.shared.Observer.SessionClosed(float64(uint32(l.tick())-c.openedAt)*tickLength.Seconds(), end)
	}
	l.shared.admission.release(c)
	c.unsent = nil
	c.close()
}

// drain tells every session of the loop that the process shuts down.
func (l *Loop) drain() {
	l.draining = true
	for _, c := range l.wheel.all() {
		if c.sends && c.lingering { // what is said is said: no drain waits for its text
			c.sends = false
			l.wheel.set(c, l.tick()+ticksOf(lingerTime))
		}
		if c.finished || c.lingering {
			continue
		}
		l.turn(c, "drain", func() {
			switch { // nothing may be sent before the header and the handshake
			case c.unnamed && c.begun:
				l.refuseProxy(c, proxyDraining)
			case c.tls.handshaking() && (c.opened || c.begun):
				l.failTLS(c, TLSDraining, nil)
			case c.unnamed || c.tls.handshaking(): // as a health check
				l.finish(c, "refused")
			}
			if c.finished {
				return
			}
			l.judgeHeld(c)
			l.step(c, session.Event{Kind: session.Drained})
		})
	}
}

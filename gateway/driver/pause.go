package driver

import "sluice/gateway/session"

// A session that must not read leaves the reactor: what its client sends on fills
// the kernel's buffer and then stays with the client (docs/decisions.md, Pause).

// pauseAbove is how much input may stay unread without a pause, whose cost is
// that of a dozen system calls.
const pauseAbove = 4 << 10

// updateReading makes a connection read or pause, as its session wants. A pause that
// fails is returned as an event for pauseFailed.
func (l *Loop) updateReading(c *Conn) (failure session.Event, failed bool) {
	switch {
	case c.finished || c.lingering:
	case c.session.Phase() == session.PhaseClosed && c.unsent != nil: // and the last word is unsent
		c.dropInput()
	case c.ended: // it is not read, whatever it waits for
	case !c.waiting():
		if c.paused {
			l.resumeReading(c)
		}
	case !c.paused:
		if unread := c.unread(); unread > pauseAbove || c.awaitingMemory() {
			return l.pauseReading(c, unread)
		}
	}
	return session.Event{}, false
}

// pauseReading stops reading. What was read and waits is paid from the budget.
func (l *Loop) pauseReading(c *Conn, unread int) (failure session.Event, failed bool) {
	if unread > 0 && !l.takeCarried(c, int64(unread)) {
		return session.Event{Kind: session.InputAhead}, true
	}
	c.carried = int32(unread)
	if err := c.pause(); err != nil {
		l.releaseCarried(c)
		return session.Event{Kind: session.PauseFailed, Err: err}, true
	}
	c.paused = true
	l.shared.Observer.SessionPaused(c.waitsFor())
	return session.Event{}, false
}

// takeCarried takes budget for input that waits. Text that comes ahead of its 354 may not
// keep others from theirs.
func (l *Loop) takeCarried(c *Conn, n int64) bool {
	if c.session.Phase() == session.PhaseCredit {
		return l.shared.Budget.TakeBelow(n)
	}
	return l.shared.Budget.TryTake(n)
}

// pauseFailed ends what would have to wait: the message, whose text is dropped as it
// comes, or else the session. It reports whether the connection goes on to be read.
func (l *Loop) pauseFailed(c *Conn, failure session.Event) bool {
	switch {
	case c.tls.handshaking(): // nothing can be said
		l.failTLS(c, TLSBusy, failure.Err)
		return false
	case !c.awaitingMemory():
		l.step(c, failure)
		return false
	}
	m := c.session.Message()
	l.creditWaited(m, "refused")
	l.failBody(m, errNoMemory)
	l.setTextDeadline(c, m)
	return true
}

// resumeReading ends a pause.
func (l *Loop) resumeReading(c *Conn) {
	l.releaseCarried(c)
	if err := c.resume(); err != nil {
		l.closed(c, EndReset)
	}
}

// releaseCarried forgets a pause.
func (l *Loop) releaseCarried(c *Conn) {
	if c.carried > 0 {
		l.shared.Budget.Give(int64(c.carried))
		c.carried = 0
	}
	if c.paused {
		c.paused = false
		l.shared.Observer.SessionResumed()
	}
}

// waitsFor names what a connection waits for, as a bounded label.
func (c *Conn) waitsFor() string {
	switch {
	case c.unsent != nil:
		return "client"
	case c.tls.handshaking():
		return "handshake"
	case c.awaitingMemory():
		return "memory"
	case c.session.Phase() == session.PhaseCredit:
		return "credit"
	case c.call != nil, c.session.Phase() == session.PhaseAuth:
		return "call"
	}
	return "outcome"
}

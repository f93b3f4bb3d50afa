package driver

import "sluice/gateway/session"

// A session that must not read leaves the reactor: what its client sends on fills
// the kernel's buffer and then stays with the client (docs/decisions.md, Pause).

// pauseAbove is how much input may stay unread without a pause, whose cost is
// that of a dozen system calls.
const pauseAbove = 4 << 10

// steer makes a connection read or pause, as its session wants.
func (l *Loop) steer(c *Conn) {
	switch {
	case c.finished || c.lingering:
	case c.session.Phase() == session.PhaseClosed && len(c.unsent) > 0: // and the last word is unsent
		c.discard(c.unread())
	case c.ended: // it is not read, whatever it waits for
	case !c.waiting():
		if c.paused {
			l.readOn(c)
		}
	case !c.paused:
		if unread := c.unread(); unread > pauseAbove || c.starved() {
			l.pause(c, unread)
		}
	}
}

// pause stops reading. What was read and waits is paid from the budget.
func (l *Loop) pause(c *Conn, unread int) {
	if unread > 0 && !l.shared.Budget.TryTake(int64(unread)) {
		l.notPaused(c, session.Event{Kind: session.InputAhead})
		return
	}
	c.carried = int32(unread)
	if err := c.pause(); err != nil {
		l.uncarry(c)
		l.notPaused(c, session.Event{Kind: session.NotPaused, Err: err})
		return
	}
	c.paused = true
	l.shared.Observer.SessionPaused(c.waitsFor())
}

// notPaused ends what would have to wait: the message, whose text is dropped as
// it comes, or else the session.
func (l *Loop) notPaused(c *Conn, ev session.Event) {
	if c.starved() {
		m := c.session.Message()
		l.creditWaited(m, "refused")
		l.giveUp(m, errNoMemory)
		l.awaitText(c, m)
		l.pump(c)
	} else {
		l.step(c, ev)
	}
	l.sendOut(c)
	l.steer(c)
}

// readOn ends a pause.
func (l *Loop) readOn(c *Conn) {
	l.uncarry(c)
	if err := c.resume(); err != nil {
		l.end(c, "client", EndReset)
	}
}

// uncarry forgets a pause.
func (l *Loop) uncarry(c *Conn) {
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
	case len(c.unsent) > 0:
		return "client"
	case c.starved():
		return "memory"
	case c.session.Phase() == session.PhaseCredit:
		return "credit"
	}
	return "outcome"
}

package driver

import (
	"time"

	"sluice/gateway/session"
	"sluice/pipeline"
)

// A connection that is closed with input unread is reset by the kernel, and the
// reset may overtake the reply: a sender would see a write error and try a 554
// again for days. So the last word is followed by the end of our stream, and the
// rest of the input is read and dropped, within these bounds.
const (
	maxLinger  = 64 << 10
	lingerTime = 2 * time.Second
)

// hangUp ends a connection whose last reply was sent.
func (l *Loop) hangUp(c *Conn) {
	// A client that said QUIT sends nothing more (RFC 5321 §4.1.1.10).
	switch {
	case c.quit && (c.ended || len(c.socket.Input()) == 0):
		l.finish(c, "quit")
		return
	case c.ended: // nothing is in flight
		l.finish(c, "refused")
		return
	}
	c.lingering, c.lingerLeft = true, maxLinger
	c.socket.CloseWrite()
	if c.paused {
		l.readOn(c)
		if c.finished {
			return
		}
	}
	l.wheel.set(c, l.tick()+ticksOf(lingerTime))
	l.drop(c)
}

// finish ends a session and its connection, whatever their state. end is a
// bounded label for how.
func (l *Loop) finish(c *Conn, end string) {
	if c.finished {
		return
	}
	c.finished = true
	l.wheel.remove(c)
	l.uncarry(c)
	if m := c.session.Abandon(); m != nil {
		if m.Ask.UnderWay() {
			l.creditWaited(m, "gone")
		}
		if m.Stage >= pipeline.StageReceiving {
			l.messageDone(c, m, nil)
		}
		l.letGo(m)
	}
	if c.counted {
		l.shared.Observer.SessionClosed(float64(l.tick()-c.openedAt)*tickLength.Seconds(), end)
	}
	l.shared.admission.leave(c)
	c.unsent = nil
	c.socket.Close()
}

// drain tells every session of the loop that the process shuts down.
func (l *Loop) drain() {
	l.draining = true
	for _, c := range l.wheel.all() {
		if c.finished || c.lingering {
			continue
		}
		l.guarded(c, "drain", func() {
			l.step(c, session.Event{Kind: session.Drained})
			l.flush(c)
		})
	}
}

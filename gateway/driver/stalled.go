package driver

import "slices"

// A client that does not read its replies holds its session's buffers, most of them in
// the kernel. So only a bounded number of such sessions stays: the oldest goes first.

// noteStalled lists a session with replies that the kernel did not take for a tick. When
// there are too many, the one that is listed longest ends: one that reads, however
// slowly, has had all that time.
func (l *Loop) noteStalled(c *Conn) {
	if c.stalled {
		return
	}
	c.stalled = true
	l.stalled = append(l.stalled, c)
	if most := l.generation.StalledSessions; most > 0 && len(l.stalled) > most {
		l.endStalled(l.stalled[0], "stalled_sessions")
	}
}

// forgetStalled takes a session off the list.
func (l *Loop) forgetStalled(c *Conn) {
	if !c.stalled {
		return
	}
	c.stalled = false
	i := slices.Index(l.stalled, c)
	l.stalled = slices.Delete(l.stalled, i, i+1)
}

// endStalled ends a session whose client does not read. No reply can tell it why.
func (l *Loop) endStalled(c *Conn, cause string) {
	l.shared.MailLog.Refused(&Refusal{
		Client: c.session.Client(), Helo: c.session.Helo(), Verb: "session", Cause: cause,
	})
	c.dropUnsent()
	l.finish(c, cause)
}

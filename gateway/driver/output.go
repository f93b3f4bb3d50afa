package driver

import (
	"sluice/codec"
	"sluice/gateway/session"
)

// replyTo gathers the reply of a step and notes a refusal.
func (l *Loop) replyTo(c *Conn, ev session.Event, a session.Actions) {
	what := "session"
	switch ev.Kind {
	case session.Commanded:
		what = ev.Command.Verb.String()
	case session.Responded, session.Judged:
		what = codec.VerbAUTH.String()
	case session.BodyEnded, session.BodyOverflowed, session.Outcome:
		what = "message"
	}
	if a.Reply.Code >= 400 {
		m := c.session.Message()
		if a.Message != nil {
			m = a.Message
		}
		l.refusal = Refusal{Err: a.Err}
		if a.Reply == codec.ReplyPressure {
			l.refusal.Pressure = ev.Shed
		}
		if m != nil {
			l.refusal.MailFrom = m.Envelope.ReversePath()
			if l.refusal.Recipients = m.Envelope.Recipients(); l.refusal.Recipients > 0 {
				l.refusal.To = m.Envelope.Recipient(0)
			}
			if !m.ID.IsZero() {
				l.refusal.Message = m.ID.String()
			}
		}
		if a.Reply == codec.ReplyAuthRefused || a.Reply == codec.ReplyAuthUnavailable || c.session.OwesRefusal() {
			l.refusal.attempted(c)
		}
		l.refusal.name(ev)
	}
	l.reply(c, a.Reply, a.Arg, what)
}

// whatGreeting stands for the command of a reply in place of the greeting.
const whatGreeting = "greeting"

// reply gathers a reply for the flush at the end of the turn. In place of the greeting
// and to HELO and EHLO it has no enhanced code (RFC 2034 §4).
func (l *Loop) reply(c *Conn, r *codec.Reply, arg []byte, what string) {
	host := c.session.Settings().Hostname
	switch what {
	case whatGreeting, "HELO", "EHLO":
		l.out = r.AppendPlain(l.out, host, arg)
	default:
		l.out = r.Append(l.out, host, arg)
	}
	l.shared.Observer.Reply(int(r.Code), r.Cause)
	c.quit = r == codec.ReplyBye
	if r.Code < 400 {
		return
	}
	f := &l.refusal
	f.Session, f.Client, f.Helo, f.Verb = c.session.ID(), c.session.Client(), c.session.Helo(), what
	f.Code, f.Enhanced, f.Cause = int(r.Code), r.Enhanced.String(), r.Cause
	f.authenticated(c)
	if f.Pressure != "" {
		l.shared.Observer.SessionShed(f.Pressure)
	}
	if l.mayLog(c, r) {
		f.LeftOut = int(c.leftOut)
		c.leftOut = 0
		l.shared.MailLog.Refused(f)
	}
	*f = Refusal{}
}

// unsent is what the kernel did not take of what a connection sends.
type unsent struct{ bytes []byte }

// flush sends the gathered replies. Those that the kernel does not take stay with the
// connection, which reads nothing until its client has read them.
func (l *Loop) flush(c *Conn) {
	out := l.out
	l.out = l.out[:0]
	if c.finished {
		return
	}
	if c.tls.established() {
		out = l.seal(c, out)
	}
	l.put(c, out)
}

// put sends p behind what is unsent.
func (l *Loop) put(c *Conn, p []byte) {
	switch {
	case len(p) == 0:
	case c.unsent != nil:
		c.unsent.bytes = append(c.unsent.bytes, p...)
	default:
		l.send(c, p)
	}
}

// send writes p and keeps the rest that the kernel does not take.
func (l *Loop) send(c *Conn, p []byte) {
	n, err := c.write(p)
	if err != nil {
		l.closed(c, EndReset)
		return
	}
	if n < len(p) {
		c.unsent = &unsent{append([]byte(nil), p[n:]...)}
		c.stallAt = uint32(l.tick() + ticksOf(l.generation.Timeouts.Stall))
		l.wheel.set(c, l.wheel.tick+1)
	}
}

// writeLast writes what the kernel takes of p on a connection that ends now: a client that
// has gone, or has not read what came before, does not learn of it.
func (c *Conn) writeLast(p []byte) {
	if c.unsent == nil && len(p) > 0 {
		_, _ = c.write(p)
	}
}

// resend tries again to write the unsent replies. The stall deadline runs from the last
// byte that the kernel took.
func (l *Loop) resend(c *Conn) {
	left := c.unsent.bytes
	n, err := c.write(left)
	switch {
	case err != nil:
		l.closed(c, EndReset)
	case n == len(left):
		c.unsent = nil
		l.forgetStalled(c)
		l.wheel.set(c, max(int64(c.phaseEnd), l.wheel.tick+1))
	case n == 0 && l.wheel.tick >= int64(c.stallAt):
		l.endStalled(c, "stalled")
	default:
		if n > 0 {
			c.unsent.bytes = append(left[:0], left[n:]...)
			c.stallAt = uint32(l.wheel.tick + ticksOf(l.generation.Timeouts.Stall))
		}
		l.wheel.set(c, l.wheel.tick+1)
		l.noteStalled(c)
	}
}

package driver

import (
	"bytes"
	"math"
	"time"

	"sluice/codec"
	"sluice/gateway/session"
	"sluice/pipeline"
)

// linesEach is how many refusals of one session are logged in a second: a client may
// have thousands.
const linesEach = 10

// Ending is how a connection ended, for the log: one of these, or what
// Observer.SessionClosed is told.
type Ending string

// How a client's connection ends.
const (
	EndClosed Ending = "closed" // by its client
	EndReset  Ending = "reset"  // by its client or on the way
	EndCut    Ending = "cut"    // the process ended
)

// mayLog reports whether a refusal is logged, and counts it. A last word always is.
func (l *Loop) mayLog(c *Conn, r *codec.Reply) bool {
	second := uint32(l.tick() / ticksOf(time.Second))
	if c.logSecond != second {
		c.logSecond, c.logged = second, 0
	}
	if c.logged >= linesEach && !r.Close {
		c.leftOut += min(1, math.MaxUint32-c.leftOut)
		return false
	}
	c.logged++
	return true
}

// name notes the address that a refused MAIL or RCPT is about.
func (r *Refusal) name(ev session.Event) {
	if ev.Kind != session.Commanded {
		return
	}
	switch ev.Command.Verb {
	case codec.VerbMAIL:
		r.MailFrom = written(ev.Command.Arg)
	case codec.VerbRCPT:
		r.To = written(ev.Command.Arg)
	}
}

// written returns the path in the argument of MAIL or RCPT as the client wrote it: what
// stands in its brackets, or all of it.
func written(arg []byte) []byte {
	begin := bytes.IndexByte(arg, '<')
	end := bytes.LastIndexByte(arg, '>')
	if begin < 0 || end < begin {
		return arg
	}
	return arg[begin+1 : end]
}

// lost logs a message whose session ended before its answer.
func (l *Loop) lost(c *Conn, m *pipeline.Message, how Ending) {
	loss := Loss{
		Client: c.session.Client(), Helo: c.session.Helo(), MailFrom: m.Envelope.ReversePath(),
		Recipients: m.Envelope.Recipients(), Message: m.ID.String(), Octets: m.Octets,
		Stage: m.Stage.String(), End: string(how),
	}
	if loss.Recipients > 0 {
		loss.To = m.Envelope.Recipient(0)
	}
	l.shared.Journal.Lost(&loss)
}

package driver

import (
	"bytes"
	"math"
	"net/netip"
	"time"

	"sluice/codec"
	"sluice/gateway/session"
	"sluice/pipeline"
)

// linesEach bounds the refusals of one session that are logged in a second: a client may
// have thousands.
const linesEach = 10

// Ending is how a connection ended, for the log: one of these, or the end that
// Observer.SessionClosed has.
type Ending string

// How a client's connection ends.
const (
	EndClosed Ending = "closed" // by its client
	EndReset  Ending = "reset"  // by its client or on the way
	EndCut    Ending = "cut"    // the process ended
)

// Refusal is one reply of 4xx or 5xx.
type Refusal struct {
	Session  session.ID
	Client   netip.AddrPort
	Helo     string
	MailFrom []byte // empty before MAIL and for the null reverse path
	// To is the recipient that was refused, as it was written, or the first one of the
	// message; Recipients are those that the message had by then.
	To         []byte
	Recipients int
	Verb       string // the command refused, or greeting, message, session
	Message    string // message id, empty before DATA
	Code       int
	Enhanced   string
	Cause      string
	Pressure   string // the gate's cause when it was the gate that refused, else empty
	Err        error  // what lies behind it; never shown to the client
	// User, Mechanism, Backend and Reason are those of an attempt to authenticate that was
	// not accepted. A client that has authenticated has the first three; else they are empty.
	User, Mechanism, Backend, Reason string
	LeftOut                          int // refusals of this session before it that were too many for the log
}

// Loss is one message without an answer.
type Loss struct {
	Session    session.ID
	Client     netip.AddrPort
	Helo       string
	MailFrom   []byte
	To         []byte // its first recipient
	Recipients int
	Message    string // message id
	Octets     int64  // received
	User       string // who has authenticated, empty for nobody
	Stage      string // where it stood
	End        string // how its session ended
}

// Login is one attempt to authenticate that was accepted.
type Login struct {
	Session   session.ID
	Client    netip.AddrPort
	Helo      string
	User      string // who the client is
	Mechanism string
	Backend   string
	Gone      bool // the client hung up before it was told
}

// Acceptance is one message answered 250.
type Acceptance struct {
	Session session.ID
	Message *pipeline.Message
	At      time.Time     // of the answer
	Took    time.Duration // from the final dot to the answer
}

// mayLog reports whether a refusal is logged, and counts it. The last reply of a session always is.
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

// attempted notes what the last attempt to authenticate was about.
func (r *Refusal) attempted(c *Conn) {
	user, mechanism, answer := c.session.Attempted()
	r.User, r.Mechanism, r.Backend, r.Reason = user, mechanism, answer.Backend, answer.Reason
}

// authenticated notes who the client is, if it has authenticated.
func (r *Refusal) authenticated(c *Conn) {
	if auth := c.session.Authenticated(); auth != nil {
		r.User, r.Mechanism, r.Backend = auth.Identity, auth.Mechanism, auth.Backend
	}
}

// refusedUnheard logs the refusal of a token whose client has left without its 535.
func (l *Loop) refusedUnheard(c *Conn) {
	if c.session.Phase() != session.PhaseResponse || !c.session.OwesRefusal() {
		return
	}
	_, _, answer := c.session.Attempted()
	refused := codec.ReplyAuthRefused
	r := &Refusal{
		Session: c.session.ID(), Client: c.session.Client(), Helo: c.session.Helo(), Verb: codec.VerbAUTH.String(),
		Code: int(refused.Code), Enhanced: refused.Enhanced.String(), Cause: refused.Cause, Err: answer.Err,
	}
	r.attempted(c)
	l.shared.MailLog.Refused(r)
}

// written returns the path in the argument of MAIL or RCPT as the client wrote it: the
// text within its brackets, or all of it.
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
		Session: c.session.ID(), Client: c.session.Client(), Helo: c.session.Helo(), MailFrom: m.Envelope.ReversePath(),
		Recipients: m.Envelope.Recipients(), Message: m.ID.String(), Octets: m.Decoded,
		Stage: m.Stage.String(), End: string(how),
	}
	if loss.Recipients > 0 {
		loss.To = m.Envelope.Recipient(0)
	}
	if auth := c.session.Authenticated(); auth != nil {
		loss.User = auth.Identity
	}
	l.shared.MailLog.Lost(&loss)
}

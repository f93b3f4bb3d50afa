package driver

import (
	"net/netip"
	"time"

	"sluice/codec"
	"sluice/gateway/session"
)

// Authenticator is the port for whoever judges credentials. Begin is called on event loops:
// it must not block.
type Authenticator interface {
	// Begin has an attempt judged on another goroutine, which calls a.Home once, soon after
	// a.Limit at the latest. It reports whether there was room: else nothing happens.
	Begin(a *Attempt) bool
}

// Attempt is one attempt of a client to authenticate. It belongs to the Authenticator from
// Begin on, which wipes its secret.
type Attempt struct {
	codec.Credentials
	Client netip.Addr
	Limit  time.Duration
	// Answer and Delay are set before Home: the client has its answer after that time.
	Answer session.Answer
	Delay  time.Duration
	// Home takes the attempt home. It may be called from any goroutine, also before Begin
	// has returned. The caller must not touch the attempt afterwards.
	Home func(*Attempt)
}

// authenticate has the credentials of a session judged.
func (l *Loop) authenticate(c *Conn) {
	a := &Attempt{Credentials: c.session.Credentials(), Client: c.session.Client().Addr(), Limit: l.generation.Timeouts.Auth}
	l.beginCall(c, a.Limit, func(call *Call) {
		a.Home = func(a *Attempt) { call.Done(a, nil) }
		if !l.shared.Authenticator.Begin(a) {
			a.Wipe()
			a.Answer = session.Answer{Reason: reasonBusy}
			a.Home(a)
		}
	}, l.judged)
}

// Reasons of answers that the driver gives itself, as gateway/identity has them.
const (
	reasonBusy    = "busy"
	reasonTimeout = "timeout"
)

// onAttempt takes the answer to an attempt, which the client may have to wait for.
func (l *Loop) onAttempt(c *Conn, value any, err error) {
	a, ok := value.(*Attempt)
	switch {
	case !ok:
		l.judge(c, session.Answer{Reason: reasonTimeout, Err: err})
	case a.Delay > 0:
		c.session.Hold(a.Answer)
		l.setDeadline(c, a.Delay)
	default:
		l.judge(c, a.Answer)
	}
}

// judge gives a session the answer to its attempt.
func (l *Loop) judge(c *Conn, answer session.Answer) {
	l.shared.Observer.Authenticated(answer.Backend, answer.Reason)
	if answer.Verdict == session.AuthAccepted && l.shared.Gate != nil {
		c.class = l.shared.Gate.Authenticated(c.class)
	}
	l.step(c, session.Event{Kind: session.Judged, Answer: answer})
}

// response feeds one line of an exchange of AUTH.
func (l *Loop) response(c *Conn, in []byte) int {
	line, fault, n, ok := c.decoder.NextResponse(in)
	if ok {
		l.step(c, session.Event{Kind: session.Responded, Command: codec.Command{Arg: line, Fault: fault}})
		clear(in[:n]) // no secret stays in a buffer
	}
	return n
}

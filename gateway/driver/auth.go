package driver

import (
	"net/netip"
	"time"

	"sluice/codec"
	"sluice/gateway/identity"
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

	session session.ID
	peer    netip.AddrPort
}

// authenticate has the credentials of a session judged.
func (l *Loop) authenticate(c *Conn) {
	peer := c.session.Client()
	a := &Attempt{
		Credentials: c.session.TakeCredentials(), Client: peer.Addr(), Limit: l.generation.Timeouts.Auth,
		session: c.session.ID(), peer: peer,
	}
	l.beginCall(c, a.Limit, func(call *Call) {
		a.Home = func(a *Attempt) { call.Done(a, nil) }
		if !l.shared.Authenticator.Begin(a) {
			a.Wipe()
			a.Answer = session.Answer{Reason: string(identity.ReasonBusy)}
			a.Home(a)
		}
	}, l.judged)
}

// onAttempt takes the answer to an attempt, which the client may have to wait for.
func (l *Loop) onAttempt(c *Conn, value any, err error) {
	a, ok := value.(*Attempt)
	if !ok {
		a = &Attempt{Answer: session.Answer{Reason: string(identity.ReasonTimeout), Err: err}}
	}
	l.shared.Observer.Authenticated(a.Answer.Backend, a.Answer.Reason)
	switch {
	case a.Delay > 0 && !l.draining: // no drain waits for who has failed
		c.session.Hold(a.Answer)
		l.setDeadline(c, a.Delay)
	default:
		l.judge(c, a.Answer)
	}
}

// holdsAnswer reports whether the session has the answer to its attempt, and its client may
// not know it yet.
func (c *Conn) holdsAnswer() bool {
	return c.session.Phase() == session.PhaseAuth && c.call == nil
}

// judgeHeld ends the wait of a session whose answer was held, if it was.
func (l *Loop) judgeHeld(c *Conn) {
	if c.holdsAnswer() {
		_, _, answer := c.session.Attempted()
		l.judge(c, answer)
	}
}

// judge steps a session by the answer to its attempt, and sets its class if it was accepted.
func (l *Loop) judge(c *Conn, answer session.Answer) {
	if answer.Verdict == session.AuthAccepted {
		_, mechanism, _ := c.session.Attempted()
		l.shared.MailLog.LoggedIn(&Login{
			Session: c.session.ID(), Client: c.session.Client(), Helo: c.session.Helo(),
			User: answer.Identity, Mechanism: mechanism, Backend: answer.Backend,
		})
		if l.shared.Gate != nil {
			c.class = l.shared.Gate.Authenticated(c.class)
		}
	}
	l.step(c, session.Event{Kind: session.Judged, Answer: answer})
}

// unheard counts and logs an attempt whose client was gone before there was an answer. Who
// tries out passwords need not wait for a refusal to know it.
func (l *Loop) unheard(a *Attempt) {
	l.shared.Observer.Authenticated(a.Answer.Backend, a.Answer.Reason)
	l.logUnheard(&Refusal{Session: a.session, Client: a.peer, User: a.User, Mechanism: a.Mechanism.String()}, a.Answer)
}

// unheardAnswer logs an answer that was held and that the client of c did not wait for.
func (l *Loop) unheardAnswer(c *Conn) {
	if !c.holdsAnswer() {
		return
	}
	user, mechanism, answer := c.session.Attempted()
	l.logUnheard(&Refusal{Session: c.session.ID(), Client: c.session.Client(), User: user, Mechanism: mechanism}, answer)
}

// CauseClientGone is the cause of a refusal, or of a login, of which its client has not
// heard.
const CauseClientGone = "client_gone"

// logUnheard logs r, for which there was an answer.
func (l *Loop) logUnheard(r *Refusal, answer session.Answer) {
	if answer.Verdict == session.AuthAccepted {
		l.shared.MailLog.LoggedIn(&Login{
			Session: r.Session, Client: r.Client, User: answer.Identity, Mechanism: r.Mechanism, Backend: answer.Backend, Gone: true,
		})
		return
	}
	r.Verb, r.Cause, r.Err = codec.VerbAUTH.String(), CauseClientGone, answer.Err
	r.Backend, r.Reason = answer.Backend, answer.Reason
	l.shared.MailLog.Refused(r)
}

// response feeds one line of an exchange of AUTH.
func (l *Loop) response(c *Conn, in []byte) int {
	line, fault, n, ok := c.decoder.NextResponse(in)
	if ok {
		l.step(c, session.Event{Kind: session.Responded, Command: codec.Command{Arg: line, Fault: fault}})
	}
	clear(in[:n]) // no secret stays in a buffer, nor a part of one that is too long
	return n
}

package driver

import (
	"time"

	"sluice/gateway/session"
	"sluice/pipeline"
)

// callsKept bounds the free calls that a loop keeps for reuse.
const callsKept = 64

// errCallOverdue is the error of a call that had no result in time.
var errCallOverdue = &pipeline.Failure{Kind: pipeline.KindTimeout, Op: "call"}

// Call is slow work for a session that concerns no message, such as a handshake, an
// authentication or a lookup. Another goroutine does the work, and the result comes
// home by the inbox. The session reads nothing meanwhile, so that its replies leave in
// the order of the commands. A session has at most one call in flight.
type Call struct {
	pipeline.Task // takes the result to the loop
	loop          *Loop
	owner         *Conn // nil when nobody waits for the result any more
	done          func(c *Conn, value any, err error)
	value         any
	err           error
	overdue       bool // its session was told so
	lost          bool // its start made a panic: nobody knows whether it comes home
}

// Done takes the one result of the work. It may be called from any goroutine, also
// before the start of the work has returned. The caller must not touch the call
// afterwards.
func (a *Call) Done(value any, err error) {
	a.value, a.err = value, err
	a.loop.Post(&a.Task)
}

// Call begins slow work for a session that waits for its next command, as a callback of
// the reactor; see beginCall. It reports whether the session does wait for one.
func (l *Loop) Call(c *Conn, limit time.Duration, start func(*Call), done func(c *Conn, value any, err error)) bool {
	if c.finished || c.call != nil || c.tls.handshaking() || c.session.Phase() != session.PhaseCommand {
		return false
	}
	l.beginCallback()
	l.turn(c, "call", func() { l.beginCall(c, limit, start, done) })
	l.endCallback()
	return true
}

// beginCall begins slow work for the session of c between two commands, inside its
// turn. start hands the work to another goroutine and must not block. done is called
// once in a turn of c, with the result or, after limit, with an error of KindTimeout.
// done is not called when the session has ended by then.
func (l *Loop) beginCall(c *Conn, limit time.Duration, start func(*Call), done func(c *Conn, value any, err error)) {
	a := l.takeCall()
	a.owner, a.done, c.call = c, done, a
	l.callsOut++
	l.setDeadline(c, limit)
	a.lost = true
	defer l.afterStart(a)
	start(a)
	a.lost = false
}

// afterStart forgets a call whose start made a panic. The work may have begun all the
// same, so that the call may yet come home: it is not used again.
func (l *Loop) afterStart(a *Call) {
	if a.lost {
		l.callsOut--
	}
}

func (l *Loop) takeCall() *Call {
	if n := len(l.calls); n > 0 {
		a := l.calls[n-1]
		l.calls = l.calls[:n-1]
		return a
	}
	a := &Call{loop: l}
	a.Run = func() { l.called(a) }
	return a
}

// onCall takes a call that comes home from its goroutine.
func (l *Loop) onCall(a *Call) {
	if a.lost {
		return
	}
	owner, done, value, err, overdue := a.owner, a.done, a.value, a.err, a.overdue
	a.owner, a.done, a.value, a.err, a.overdue = nil, nil, nil, nil, false
	l.callsOut--
	if len(l.calls) < callsKept {
		l.calls = append(l.calls, a)
	}
	l.takeResult("result", owner, func(c *Conn) {
		c.call = nil
		l.callDone(c, done, value, err)
	}, func() {
		if attempt, ok := value.(*Attempt); ok && !overdue {
			l.unheard(attempt)
		}
	})
}

// callOverdue ends the wait for a call that had no result in time.
func (l *Loop) callOverdue(c *Conn) {
	done := c.call.done
	c.call.overdue = true
	c.detachCall()
	l.callDone(c, done, nil, errCallOverdue)
}

// callDone hands the result of a call to its session.
func (l *Loop) callDone(c *Conn, done func(*Conn, any, error), value any, err error) {
	if c.session.Phase() == session.PhaseClosed {
		return // it was told to go meanwhile
	}
	done(c, value, err)
	if c.call == nil {
		l.setCommandDeadline(c)
	}
}

// detachCall ends the wait for the call in flight, if there is one. The call still
// comes home once.
func (c *Conn) detachCall() {
	if c.call != nil {
		c.call.owner, c.call = nil, nil
	}
}

// Calls returns the number of calls of this loop in flight, for tests.
func (l *Loop) Calls() int { return l.callsOut }

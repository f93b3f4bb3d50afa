package driver

import (
	"runtime/debug"

	"sluice/gateway/session"
)

// PanicPlaces returns every place of Observer.Panicked: the callbacks, and what a turn is
// about.
func PanicPlaces() []string {
	return []string{
		"open", "traffic", "ended", "closed", "timer", "result", "credit", "call", "relief", "displace", "drain", "run", "tick",
	}
}

// recoverConn ends a turn of a connection. After a panic it ends that session and no
// other: gnet does not recover, so the panic would end the process.
func (l *Loop) recoverConn(c *Conn, where string) {
	reason := recover()
	if reason == nil {
		return
	}
	l.panicked(c.session.ID(), where, reason)
	l.out = l.out[:0]
	if !c.finished {
		l.finish(c, "error")
	}
}

// recoverLoop ends a callback that concerns no single connection. A panic in it is
// counted, and the loop goes on.
func (l *Loop) recoverLoop(where string) {
	if reason := recover(); reason != nil {
		l.panicked(0, where, reason)
	}
}

// panicked counts and logs a panic in the turn of a session, 0 for none.
func (l *Loop) panicked(id session.ID, where string, reason any) {
	l.shared.Observer.Panicked(where)
	l.shared.MailLog.Panicked(id, where, reason, debug.Stack())
}

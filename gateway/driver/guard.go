package driver

import "runtime/debug"

// guarded runs one turn of a connection. A panic ends that session and no
// other: gnet has no recover, so it would end the process.
func (l *Loop) guarded(c *Conn, where string, turn func()) {
	defer func() {
		reason := recover()
		if reason == nil {
			return
		}
		l.shared.Observer.Panicked(where)
		l.shared.MailLog.Panicked(where, reason, debug.Stack())
		l.out = l.out[:0]
		if !c.finished {
			l.finish(c, "error")
		}
	}()
	turn()
}

// survive ends a callback that concerns no single connection: a panic in it is
// counted and the loop goes on.
func (l *Loop) survive(where string) {
	if reason := recover(); reason != nil {
		l.shared.Observer.Panicked(where)
		l.shared.MailLog.Panicked(where, reason, debug.Stack())
	}
}

package driver

// turn runs one turn of a connection: an event, then all that follows from it. It is
// the only caller of pump, flush and updateReading, so that what they call never has
// to call them. A panic ends the session of the connection and no other.
func (l *Loop) turn(c *Conn, where string, happened func()) {
	defer l.recoverLoop(where) // of what ends the session after a panic
	defer l.recoverConn(c, where)
	happened()
	for reads := true; ; {
		more := reads && l.pump(c)
		l.flush(c)
		if more {
			continue
		}
		failure, failed := l.updateReading(c)
		if !failed {
			break
		}
		reads = l.pauseFailed(c, failure)
	}
	l.closeIfDone(c)
}

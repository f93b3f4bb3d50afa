package kafka

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// patientConn is a connection to a broker that waits no longer for an answer than
// brokers.patience allows, whatever its user asks for. The client of Kafka has one fixed
// bound for all requests, which must suit a broker that is slow and is far too long for
// one that is gone.
type patientConn struct {
	net.Conn
	brokers *brokers
	address string

	wait atomic.Pointer[wait] // for an answer; nil while none is awaited
}

// wait is a wait for an answer.
type wait struct{ began, until time.Time }

// SetReadDeadline bounds the wait for an answer, which begins now. A time that has passed
// ends it, as the client does when nobody needs the answer.
func (c *patientConn) SetReadDeadline(t time.Time) error {
	now := time.Now()
	if !t.After(now) { // also the zero time: no deadline
		c.wait.Store(nil)
		return c.Conn.SetReadDeadline(t)
	}
	if until := now.Add(c.brokers.patience(c.address)); until.Before(t) {
		t = until
	}
	c.wait.Store(&wait{began: now, until: t})
	return c.Conn.SetReadDeadline(t)
}

// Close closes the connection.
func (c *patientConn) Close() error {
	c.brokers.ended(c.address)
	return c.Conn.Close()
}

// Read reads a part of an answer. Each part allows the same time for the next.
func (c *patientConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	w := c.wait.Load()
	if w == nil {
		return n, err
	}
	switch now := time.Now(); {
	case n > 0:
		c.brokers.answered(c.address, now.Sub(w.began))
	case errors.Is(err, os.ErrDeadlineExceeded) && !now.Before(w.until):
		c.brokers.unanswered(c.address, w.began)
	}
	return n, err
}

package s3

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// valve dials for a store under test. It can stall the network, break it or swallow the
// connections that are open.
type valve struct {
	mu     sync.Mutex
	change sync.Cond
	halted bool
	broken bool
	conns  map[net.Conn]*valveConn
	dialed int
}

func newValve() *valve {
	v := &valve{conns: map[net.Conn]*valveConn{}}
	v.change.L = &v.mu
	return v
}

// halt keeps all connections open and lets nothing through.
func (v *valve) halt() (resume func()) {
	v.set(&v.halted, true)
	return func() { v.set(&v.halted, false) }
}

// cut resets all connections and refuses new ones.
func (v *valve) cut() (restore func()) {
	v.set(&v.broken, true)
	v.mu.Lock()
	for c := range v.conns {
		_ = c.Close()
	}
	clear(v.conns)
	v.mu.Unlock()
	return func() { v.set(&v.broken, false) }
}

func (v *valve) set(state *bool, to bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	*state = to
	v.change.Broadcast()
}

func (v *valve) wait() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for v.halted {
		v.change.Wait()
	}
}

func (v *valve) dial(ctx context.Context, network, address string) (net.Conn, error) {
	v.wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.broken {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("refused by the test")}
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	v.dialed++
	wrapped := &valveConn{Conn: c, v: v, closed: make(chan struct{})}
	v.conns[c] = wrapped
	return wrapped, nil
}

// swallow makes every connection that is open silent: what is written is taken and lost,
// and nothing is answered. Connections that are opened later are not touched.
func (v *valve) swallow() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range v.conns {
		c.silent.Store(true)
	}
}

type valveConn struct {
	net.Conn
	v      *valve
	silent atomic.Bool
	once   sync.Once
	closed chan struct{}
}

func (c *valveConn) Write(b []byte) (int, error) {
	if c.silent.Load() {
		return len(b), nil
	}
	c.v.wait()
	return c.Conn.Write(b)
}

func (c *valveConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.silent.Load() {
		<-c.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *valveConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	c.v.mu.Lock()
	delete(c.v.conns, c.Conn)
	c.v.mu.Unlock()
	return c.Conn.Close()
}

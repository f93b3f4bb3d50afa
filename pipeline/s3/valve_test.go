package s3

import (
	"context"
	"errors"
	"net"
	"sync"
)

// valve dials for a store under test. It can stall the network or break it.
type valve struct {
	mu     sync.Mutex
	change sync.Cond
	halted bool
	broken bool
	conns  map[net.Conn]struct{}
}

func newValve() *valve {
	v := &valve{conns: map[net.Conn]struct{}{}}
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
	v.conns[c] = struct{}{}
	return &valveConn{c, v}, nil
}

type valveConn struct {
	net.Conn
	v *valve
}

func (c *valveConn) Write(b []byte) (int, error) {
	c.v.wait()
	return c.Conn.Write(b)
}

func (c *valveConn) Close() error {
	c.v.mu.Lock()
	delete(c.v.conns, c.Conn)
	c.v.mu.Unlock()
	return c.Conn.Close()
}

package server

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// boundedListener is a listener whose open connections are bounded, so that its clients cannot
// take the descriptors that mail needs. One connection more ends another: of the
// address that has the most, the one that has been still for the longest. So idle
// connections cannot keep anybody out either, whoever holds them.
type boundedListener struct {
	net.Listener
	most      int
	displaced func() // counts a connection that was ended for another

	mu   sync.Mutex
	open map[*boundedConn]struct{}
}

// boundedConn is an open connection of a boundedListener.
type boundedConn struct {
	net.Conn
	listener *boundedListener
	from     netip.Addr
	last     atomic.Int64 // when it was last read or written, nanoseconds
	once     sync.Once
}

func newBounded(l net.Listener, most int, displaced func()) *boundedListener {
	return &boundedListener{Listener: l, most: most, displaced: displaced, open: make(map[*boundedConn]struct{})}
}

// Accept implements net.Listener.
func (c *boundedListener) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	m := &boundedConn{Conn: conn, listener: c}
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		m.from = tcp.AddrPort().Addr().Unmap().WithZone("")
		if m.from.Is6() { // one host has a /64
			m.from = netip.PrefixFrom(m.from, 64).Masked().Addr()
		}
	}
	m.touch()
	if victim := c.join(m); victim != nil {
		c.displaced()
		_ = victim.Close()
	}
	return m, nil
}

// join counts a connection in. It returns the one that must make room, if any.
func (c *boundedListener) join(m *boundedConn) (victim *boundedConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= c.most {
		victim = c.dispensable()
	}
	c.open[m] = struct{}{}
	return victim
}

// dispensable returns the stillest connection of the address that has the most.
func (c *boundedListener) dispensable() (stillest *boundedConn) {
	each := make(map[netip.Addr]int)
	for m := range c.open {
		each[m.from]++
	}
	for m := range c.open {
		if stillest == nil || each[m.from] > each[stillest.from] ||
			each[m.from] == each[stillest.from] && m.last.Load() < stillest.last.Load() {
			stillest = m
		}
	}
	return stillest
}

func (m *boundedConn) touch() { m.last.Store(time.Now().UnixNano()) }

// Read implements net.Conn.
func (m *boundedConn) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.touch()
	return n, err
}

// Write implements net.Conn.
func (m *boundedConn) Write(p []byte) (int, error) {
	m.touch()
	return m.Conn.Write(p)
}

// Close implements net.Conn.
func (m *boundedConn) Close() error {
	m.once.Do(func() {
		m.listener.mu.Lock()
		defer m.listener.mu.Unlock()
		delete(m.listener.open, m)
	})
	return m.Conn.Close()
}

package server

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"sluice/gateway/places"
)

// boundedListener is a listener with a bound on its open connections, so that its clients
// cannot take the descriptors that mail needs. Each connection over the bound displaces
// another: of the address with the most connections, the one idle for longest. So idle
// connections cannot keep other clients out, whichever address holds them.
type boundedListener struct {
	net.Listener
	most      int
	displaced func()      // counts a connection that was closed to make room for another
	failed    func(error) // counts a connection that could not be accepted

	mu   sync.Mutex
	open map[*boundedConn]struct{}
}

// boundedConn is an open connection of a boundedListener.
type boundedConn struct {
	net.Conn
	listener *boundedListener
	from     netip.Addr
	last     atomic.Int64 // time of the last read or write, in Unix nanoseconds
	once     sync.Once
}

func newBounded(l net.Listener, most int, displaced func(), failed func(error)) *boundedListener {
	return &boundedListener{
		Listener: l, most: most, displaced: displaced, failed: failed, open: make(map[*boundedConn]struct{}),
	}
}

// Accept implements net.Listener.
func (c *boundedListener) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		if !errors.Is(err, net.ErrClosed) {
			c.failed(err)
		}
		return nil, err
	}
	m := &boundedConn{Conn: conn, listener: c}
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		m.from = places.Client(tcp.AddrPort().Addr())
	}
	m.touch()
	if victim := c.add(m); victim != nil {
		c.displaced()
		_ = victim.Close()
	}
	return m, nil
}

// add adds a connection. It returns the one that must make room, if any.
func (c *boundedListener) add(m *boundedConn) (victim *boundedConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= c.most {
		victim = c.leastActive()
	}
	c.open[m] = struct{}{}
	return victim
}

// leastActive returns the connection idle for longest of the address with the most
// connections.
func (c *boundedListener) leastActive() (stillest *boundedConn) {
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

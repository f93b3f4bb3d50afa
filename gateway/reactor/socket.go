package reactor

import (
	"os"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"sluice/gateway/driver"
)

// socket implements driver.Socket on a gnet connection. No other type holds a gnet.Conn.
// It drops the gnet.Conn when the connection ends, because gnet's methods would then
// write to whatever connection has the descriptor next.
type socket struct {
	conn       gnet.Conn // nil while paused and once closed
	fd         int       // -1 once closed
	loop       *loop
	inCallback bool // a callback of this connection is running
	closing    bool // Close was called inside that callback
	pausing    bool // Pause was called inside that callback; dup is to become fd
	dup        int
	carried    []byte   // input that was read before a pause
	file       *os.File // owns fd while a paused connection returns to gnet
	state      driver.Conn
}

// Input implements driver.Socket.
func (s *socket) Input() []byte {
	if len(s.carried) > 0 {
		if s.conn != nil {
			s.carry()
		}
		return s.carried
	}
	if s.conn == nil || s.conn.InboundBuffered() == 0 {
		return nil
	}
	in, err := s.conn.Peek(-1)
	if err != nil {
		return nil
	}
	return in
}

// Discard implements driver.Socket.
func (s *socket) Discard(n int) {
	switch {
	case n <= 0: // gnet's Discard(0) discards everything
	case n < len(s.carried):
		s.carried = s.carried[n:]
	case len(s.carried) > 0:
		s.carried = nil
	case s.conn != nil:
		_, _ = s.conn.Discard(n)
	}
}

// Write implements driver.Socket. It writes to the descriptor directly, because gnet's
// outbound buffer is unbounded.
func (s *socket) Write(p []byte) (int, error) {
	if s.fd < 0 {
		return 0, unix.EPIPE
	}
	for {
		n, err := unix.Write(s.fd, p)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil
		default:
			return 0, err
		}
	}
}

// DropUnsent implements driver.Socket.
func (s *socket) DropUnsent() {
	if s.fd >= 0 {
		_ = unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
}

// CloseWrite implements driver.Socket.
func (s *socket) CloseWrite() {
	if s.fd >= 0 {
		_ = unix.Shutdown(s.fd, unix.SHUT_WR)
	}
}

// Close implements driver.Socket. Inside a callback of the same connection, the
// callback's result must tell gnet.
func (s *socket) Close() {
	switch {
	case s.fd < 0:
	case s.inCallback:
		s.closing = true
	case s.conn == nil:
		s.closeDuplicate()
		s.carried = nil
	default:
		conn := s.conn
		s.markClosed()
		_ = conn.EventLoop().Close(conn)
	}
}

// markClosed records that gnet has closed the descriptor or is about to.
func (s *socket) markClosed() { s.conn, s.fd, s.carried = nil, -1, nil }

package reactor

import (
	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"sluice/gateway/driver"
)

// socket is driver.Socket on a gnet connection. It is the one type that holds a
// gnet.Conn, and it lets go of it when the connection ends: gnet's own methods
// would then write into whatever connection has the descriptor next.
type socket struct {
	conn    gnet.Conn // nil once closed
	fd      int
	inside  bool // a callback of this connection is under way
	closing bool // Close was called inside that callback
	state   driver.Conn
	loop    *driver.Loop
}

// Input implements driver.Socket.
func (s *socket) Input() []byte {
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
	if s.conn != nil && n > 0 { // Discard(0) of gnet discards everything
		_, _ = s.conn.Discard(n)
	}
}

// Write implements driver.Socket. It writes to the descriptor itself: gnet's
// outbound buffer has no bound.
func (s *socket) Write(p []byte) (int, error) {
	if s.conn == nil {
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

// CloseWrite implements driver.Socket.
func (s *socket) CloseWrite() {
	if s.conn != nil {
		_ = unix.Shutdown(s.fd, unix.SHUT_WR)
	}
}

// Close implements driver.Socket. Inside a callback of the same connection gnet
// wants to be told by the callback's result.
func (s *socket) Close() {
	if s.conn == nil {
		return
	}
	if s.inside {
		s.closing = true
		return
	}
	conn := s.conn
	s.conn = nil
	_ = conn.EventLoop().Close(conn)
}

package reactor

import (
	"os"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"sluice/gateway/driver"
)

// socket is driver.Socket on a gnet connection. It is the one type that holds a
// gnet.Conn, and it lets go of it when the connection ends: gnet's own methods
// would then write into whatever connection has the descriptor next.
type socket struct {
	conn    gnet.Conn // nil while paused and once closed
	fd      int       // -1 once closed
	loop    *loop
	inside  bool // a callback of this connection is under way
	closing bool // Close was called inside that callback
	leaving bool // Pause was called inside that callback; spare is to be fd
	spare   int
	carried []byte   // input that was read before a pause
	file    *os.File // owns fd while a paused connection is on its way back
	state   driver.Conn
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
	case n <= 0: // Discard(0) of gnet discards everything
	case n < len(s.carried):
		s.carried = s.carried[n:]
	case len(s.carried) > 0:
		s.carried = nil
	case s.conn != nil:
		_, _ = s.conn.Discard(n)
	}
}

// Write implements driver.Socket. It writes to the descriptor itself: gnet's
// outbound buffer has no bound.
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

// CloseWrite implements driver.Socket.
func (s *socket) CloseWrite() {
	if s.fd >= 0 {
		_ = unix.Shutdown(s.fd, unix.SHUT_WR)
	}
}

// Close implements driver.Socket. Inside a callback of the same connection gnet
// wants to be told by the callback's result.
func (s *socket) Close() {
	switch {
	case s.fd < 0:
	case s.inside:
		s.closing = true
	case s.conn == nil:
		s.closeDuplicate()
		s.carried = nil
	default:
		conn := s.conn
		s.gone()
		_ = conn.EventLoop().Close(conn)
	}
}

// gone takes note that gnet has closed the descriptor or is about to.
func (s *socket) gone() { s.conn, s.fd, s.carried = nil, -1, nil }

package reactor

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"sluice/gateway/driver"
)

// gnet cannot stop reading from a connection. So a connection that pauses leaves
// it: gnet closes its descriptor, and the TCP connection lives on in a duplicate
// that nobody reads. To read on, it is enrolled anew. All of it is gnet's public
// interface.

// Pause implements driver.Socket.
func (s *socket) Pause() error {
	if s.conn == nil {
		return unix.EPIPE
	}
	fd, err := duplicate(s.fd)
	if err != nil {
		return err
	}
	s.carry()
	s.spare, s.leaving = fd, true
	if !s.inside { // else the callback's result says it
		conn := s.conn
		s.leave()
		_ = conn.EventLoop().Close(conn)
	}
	return nil
}

// keep goes over to a duplicate for good, because the client's input has ended: gnet
// closes such a connection, and would report its end for ever if it had it back.
func (s *socket) keep() error {
	fd, err := duplicate(s.fd)
	if err != nil {
		return err
	}
	s.carry()
	s.conn, s.fd = nil, fd
	return nil
}

func duplicate(fd int) (int, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return dup, os.NewSyscallError("dup", err)
}

// carry takes along what was read and not discarded.
func (s *socket) carry() {
	if n := s.conn.InboundBuffered(); n > 0 {
		if in, err := s.conn.Peek(-1); err == nil {
			s.carried = append(s.carried, in...)
			_, _ = s.conn.Discard(n)
		}
	}
}

// leave goes over to the duplicate; gnet is to close its own descriptor.
func (s *socket) leave() {
	s.conn, s.fd, s.leaving = nil, s.spare, false
}

// errGone says that the client reset the connection while it was paused.
var errGone = errors.New("the connection was reset while it was paused")

// Resume implements driver.Socket.
func (s *socket) Resume() error {
	if s.leaving { // still inside the callback that paused it
		s.closeSpare()
		return nil
	}
	// The file owns the duplicate from here on; replies still go by it until the
	// connection is back.
	s.file = os.NewFile(uintptr(s.fd), "paused connection")
	conn, err := net.FileConn(s.file)
	if err != nil {
		return err
	}
	if conn.RemoteAddr() == nil { // enrolling it would panic inside gnet
		_ = conn.Close()
		return errGone
	}
	enrolled, err := s.loop.gnet.Enroll(gnet.NewContext(context.Background(), s), conn)
	if err != nil {
		_ = conn.Close()
		return err
	}
	s.loop.await(s, enrolled)
	return nil
}

// back takes note that gnet has the connection again.
func (s *socket) back(conn gnet.Conn) {
	s.conn = conn
	s.closeDuplicate()
	s.fd = conn.Fd()
}

// closeSpare closes a duplicate that is not needed after all.
func (s *socket) closeSpare() {
	if s.leaving {
		_ = unix.Close(s.spare)
		s.leaving = false
	}
}

// closeDuplicate closes the descriptor that a paused connection lives in.
func (s *socket) closeDuplicate() {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	} else if s.fd >= 0 {
		_ = unix.Close(s.fd)
	}
	s.fd = -1
}

// enrolTimeout is how long a resumed connection may take to be back: gnet reports
// no error when it could not watch the descriptor.
const enrolTimeout = 5 * time.Second

// enrolment is a connection on its way back to gnet.
type enrolment struct {
	socket *socket
	file   *os.File // that of the socket as long as it is on its way
	result <-chan gnet.RegisteredResult
	end    time.Time
}

// await watches over a connection until it is back.
func (l *loop) await(s *socket, result <-chan gnet.RegisteredResult) {
	l.enrolments = append(l.enrolments, enrolment{s, s.file, result, time.Now().Add(enrolTimeout)})
}

// enrolled ends the sessions whose connections did not come back.
func (l *loop) enrolled(now time.Time) {
	kept := l.enrolments[:0]
	for _, e := range l.enrolments {
		switch {
		case e.socket.file != e.file: // back, or closed
		case failed(e.result) || now.After(e.end):
			e.socket.closeDuplicate()
			l.driver.Closed(&e.socket.state, driver.EndReset)
		default:
			kept = append(kept, e)
		}
	}
	clear(l.enrolments[len(kept):])
	l.enrolments = kept
}

// failed says whether an enrolment has ended without a connection.
func failed(result <-chan gnet.RegisteredResult) bool {
	select {
	case r := <-result:
		return r.Conn == nil
	default:
		return false
	}
}

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

// gnet cannot stop reading from a connection, so a connection that pauses leaves gnet.
// gnet closes its descriptor, and the TCP connection lives on in a duplicate descriptor
// that is not read. To resume, the duplicate is enrolled in gnet. All of this uses gnet's
// public interface.

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
	s.dup, s.pausing = fd, true
	if !s.inCallback { // otherwise the callback's result tells gnet
		conn := s.conn
		s.detach()
		_ = conn.EventLoop().Close(conn)
	}
	return nil
}

// keepDuplicate moves the socket to a duplicate for good, because the client's input has
// ended. gnet closes such a connection, and after another enrolment would report its end
// again and again.
func (s *socket) keepDuplicate() error {
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

// carry keeps the input that was read and not discarded.
func (s *socket) carry() {
	if n := s.conn.InboundBuffered(); n > 0 {
		if in, err := s.conn.Peek(-1); err == nil {
			s.carried = append(s.carried, in...)
			_, _ = s.conn.Discard(n)
		}
	}
}

// detach switches to the duplicate; gnet then closes its own descriptor.
func (s *socket) detach() {
	s.conn, s.fd, s.pausing = nil, s.dup, false
}

// errGone means that the client reset the connection while it was paused.
var errGone = errors.New("the connection was reset while it was paused")

// Resume implements driver.Socket.
func (s *socket) Resume() error {
	if s.pausing { // still inside the callback that paused it
		s.dropDuplicate()
		return nil
	}
	// From here on the file owns the duplicate. Replies are written to it until the
	// connection is back in gnet.
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
	s.loop.awaitEnrolment(s, enrolled)
	return nil
}

// reattach records that gnet has the connection again.
func (s *socket) reattach(conn gnet.Conn) {
	s.conn = conn
	s.closeDuplicate()
	s.fd = conn.Fd()
}

// dropDuplicate closes a duplicate that is not needed after all.
func (s *socket) dropDuplicate() {
	if s.pausing {
		_ = unix.Close(s.dup)
		s.pausing = false
	}
}

// closeDuplicate closes the descriptor that holds a paused connection.
func (s *socket) closeDuplicate() {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	} else if s.fd >= 0 {
		_ = unix.Close(s.fd)
	}
	s.fd = -1
}

// enrolTimeout is the longest time for a resumed connection to return to gnet, which
// reports no error if it could not poll the descriptor.
const enrolTimeout = 5 * time.Second

// enrolment is a connection on its way back to gnet.
type enrolment struct {
	socket *socket
	file   *os.File // the socket's file while the enrolment is pending
	result <-chan gnet.RegisteredResult
	end    time.Time
}

// awaitEnrolment tracks a connection until it is back in gnet.
func (l *loop) awaitEnrolment(s *socket, result <-chan gnet.RegisteredResult) {
	l.enrolments = append(l.enrolments, enrolment{s, s.file, result, time.Now().Add(enrolTimeout)})
}

// checkEnrolments ends the sessions whose connections did not return to gnet.
func (l *loop) checkEnrolments(now time.Time) {
	kept := l.enrolments[:0]
	for _, e := range l.enrolments {
		switch {
		case e.socket.file != e.file: // back in gnet, or closed
		case enrolFailed(e.result) || now.After(e.end):
			e.socket.closeDuplicate()
			l.driver.Closed(&e.socket.state, driver.EndReset)
		default:
			kept = append(kept, e)
		}
	}
	clear(l.enrolments[len(kept):])
	l.enrolments = kept
}

// enrolFailed reports whether an enrolment has ended without a connection.
func enrolFailed(result <-chan gnet.RegisteredResult) bool {
	select {
	case r := <-result:
		return r.Conn == nil
	default:
		return false
	}
}

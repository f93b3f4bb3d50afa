package reactor

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// spare is a descriptor that is held so that nobody else can have it. gnet takes a
// duplicate of each connection that it is handed and closes the connection when
// there is none: without a spare its client would see an end and no reply.
type spare struct {
	fd    int // -1 for none
	limit int // RLIMIT_NOFILE
}

// manyLeft is how many free descriptors are enough for nobody to need a spare.
const manyLeft = 256

func newSpare() spare {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return spare{fd: -1}
	}
	return spare{fd: -1, limit: int(min(limit.Cur, 1<<30))}
}

// take holds a descriptor, unless one is held already.
func (s *spare) take() error {
	if s.fd >= 0 {
		return nil
	}
	fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	s.fd = fd
	return nil
}

// free closes the descriptor, so that whoever asks next has it.
func (s *spare) free() {
	if s.fd >= 0 {
		_ = unix.Close(s.fd)
		s.fd = -1
	}
}

// freeFor gives the descriptor up for the sake of a connection, if that may need
// it: the kernel gives out the lowest number that is free, so a low one says that
// many are left.
func (s *spare) freeFor(conn net.Conn) {
	number := s.limit
	if tcp, ok := conn.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { number = int(fd) })
		}
	}
	if number >= s.limit-manyLeft {
		s.free()
	}
}

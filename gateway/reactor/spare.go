package reactor

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// spare is a reserved file descriptor. gnet duplicates each connection that it is handed,
// and closes the connection if no descriptor is free. Without a spare, the client would
// see the end of the connection and no reply.
type spare struct {
	fd    int // -1 for none
	limit int // RLIMIT_NOFILE
}

// plentyFree is the number of free descriptors above which no spare is needed.
const plentyFree = 256

func newSpare() spare {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return spare{fd: -1}
	}
	return spare{fd: -1, limit: int(min(limit.Cur, 1<<30))}
}

// take reserves a descriptor, unless one is reserved already.
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

// free closes the descriptor, so that the next caller that needs one gets it.
func (s *spare) free() {
	if s.fd >= 0 {
		_ = unix.Close(s.fd)
		s.fd = -1
	}
}

// freeFor frees the descriptor before conn is handed over, if that may need it. The
// kernel assigns the lowest free number, so a low number means that many are free.
func (s *spare) freeFor(conn net.Conn) {
	number := s.limit
	if tcp, ok := conn.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { number = int(fd) })
		}
	}
	if number >= s.limit-plentyFree {
		s.free()
	}
}

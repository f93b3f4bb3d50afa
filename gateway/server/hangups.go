package server

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Hangups are the SIGHUPs that the process is sent. One asks for a reload, unless it comes
// because the terminal was closed from which the gateway was started: whoever was there
// expects it to end.
type Hangups struct {
	signals  chan os.Signal
	terminal bool        // there was one at the start, and SIGHUP was not ignored
	gone     func() bool // terminalGone, or another in a test
	seen     time.Time   // when the terminal was there last
}

// CatchHangups catches SIGHUP, which would end the process else. A process that was started
// with SIGHUP ignored (nohup) outlives its terminal, and reloads.
func CatchHangups() *Hangups {
	h := &Hangups{signals: make(chan os.Signal, 1), gone: terminalGone, seen: time.Now()}
	h.terminal = !signal.Ignored(syscall.SIGHUP) && !h.gone()
	signal.Notify(h.signals, syscall.SIGHUP)
	return h
}

const (
	// lookEvery is how often the terminal is looked at, so that a SIGHUP is not taken for
	// that of a terminal which was closed long before.
	lookEvery = time.Second
	// closedWithin is the longest time from the end of a terminal to its SIGHUP, which the
	// shell may pass on.
	closedWithin = 10 * time.Second
	// closedAfter is a time in which the terminal is gone after its SIGHUP: at the end of
	// the shell the kernel sends the signal first.
	closedAfter = 200 * time.Millisecond
)

// closed reports whether the terminal was closed a moment ago.
func (h *Hangups) closed(now time.Time) bool {
	switch {
	case !h.terminal:
		return false
	case !h.gone():
		h.seen = now
		return false
	}
	return now.Sub(h.seen) < closedWithin
}

// endIfClosed ends serving if the terminal was closed, and reports whether it was.
func (s *Server) endIfClosed(now time.Time) bool {
	closed := s.hangups.closed(now)
	if closed {
		select {
		case s.closed <- struct{}{}:
		default: // it ends already
		}
	}
	return closed
}

// terminalGone reports whether the process has no controlling terminal.
func terminalGone() bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		_ = unix.Close(fd)
	}
	return errors.Is(err, unix.ENXIO) || errors.Is(err, unix.EIO)
}

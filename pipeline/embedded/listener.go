package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"time"
)

// listen listens on address. The broker allows everyone everything, so it listens only on
// loopback.
func listen(address string) (net.Listener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", address, err)
	}
	if resolved.IP == nil || !resolved.IP.IsLoopback() {
		return nil, fmt.Errorf("address %q is not a loopback address", address)
	}
	listener, err := net.ListenTCP("tcp", resolved)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("address %s is in use by another process", resolved)
	}
	if err != nil {
		return nil, err
	}
	return listener, nil
}

// patientListener is a listener whose Accept outlives failures, such as a lack of
// descriptors. kfake closes its listener after the first, and no client could connect any
// more, Sluice's own included. It logs when failures begin and when they are over. One
// goroutine may call Accept.
type patientListener struct {
	net.Listener
	logger *slog.Logger

	failed   int       // failed attempts since the last line
	reported time.Time // time of the last line about a failure
	troubled bool      // trouble was logged, but not yet its end
}

const (
	// acceptPause is the time between two attempts to accept a connection.
	acceptPause = 50 * time.Millisecond
	// acceptReportEvery is the least time between two lines about trouble, which may come
	// and go.
	acceptReportEvery = 10 * time.Second
)

// Accept implements net.Listener.
func (l *patientListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		switch {
		case err == nil:
			l.reportRecovery()
			return conn, nil
		case errors.Is(err, net.ErrClosed):
			return nil, err
		}
		l.reportFailure(err)
		time.Sleep(acceptPause)
	}
}

// reportFailure logs a failed attempt if the last such line is old.
func (l *patientListener) reportFailure(err error) {
	l.failed++
	if now := time.Now(); l.reported.IsZero() || now.Sub(l.reported) >= acceptReportEvery {
		l.reported, l.troubled = now, true
		l.logger.Error("embedded kafka: connections cannot be accepted for now: they wait in the kernel's queue",
			"listener", l.Addr().String(), "error", err, "attempts", l.failed)
		l.failed = 0
	}
}

// reportRecovery logs that connections are accepted again.
func (l *patientListener) reportRecovery() {
	if !l.troubled {
		return
	}
	l.logger.Info("embedded kafka: connections are accepted again",
		"listener", l.Addr().String(), "attempts_failed", l.failed)
	l.troubled, l.failed = false, 0
}

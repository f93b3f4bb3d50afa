package reactor

import (
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// acceptorsPerLoop is the number of accepting goroutines for each loop and listener.
//
// gnet's own accept stops the whole engine at most errors, EMFILE among them, and cuts
// every session without a callback. So this package accepts connections itself and hands
// them to a gnet client with EnrollContext, which returns once the loop has the
// connection. Up to acceptorsPerLoop connections may wait for each loop.
const acceptorsPerLoop = 8

// Backoff between attempts while accepting fails.
const (
	leastBackoff = 5 * time.Millisecond
	mostBackoff  = time.Second
	// reportEvery is the least time between two reports of one listener, whose trouble
	// may come and go.
	reportEvery = 10 * time.Second
)

// Trouble reports that a listener fails to accept connections, which stay in its queue
// meanwhile, or that it accepts them again.
type Trouble struct {
	Address string
	Failed  int   // failed attempts since the last report
	Err     error // error of the last attempt; nil if connections are accepted again
}

// acceptor accepts the connections of one listener, on several goroutines.
type acceptor struct {
	listener *listener
	options  *Options
	enroll   func(net.Conn, *listener) error
	stop     <-chan struct{}

	mu sync.Mutex // held by the goroutine that accepts

	// Guarded by mu.
	failed   int       // failed attempts that were not reported
	reported time.Time // time of the last report
	troubled bool      // trouble was reported, but not yet its end
}

// run accepts connections until the listener is closed. Several goroutines may run it.
func (a *acceptor) run() {
	own := newSpare()
	defer own.free()
	for {
		conn := a.next(&own)
		if conn == nil {
			return
		}
		own.freeFor(conn)
		if err := a.enroll(conn, a.listener); err != nil && !a.stopped() {
			a.mu.Lock()
			a.countFailure(err)
			a.mu.Unlock()
		}
	}
}

// next returns the next connection, or nil once the listener is closed. No error of
// accept(2) ends it: descriptors and memory become free again, and a network error of one
// connection does not concern the next.
func (a *acceptor) next(own *spare) net.Conn {
	a.mu.Lock()
	defer a.mu.Unlock()
	for backoff := leastBackoff; ; backoff = min(2*backoff, mostBackoff) {
		conn, err := a.accept(own)
		switch {
		case err == nil:
			a.reportRecovery()
			return conn
		case errors.Is(err, net.ErrClosed) || a.stopped():
			return nil
		}
		a.countFailure(err)
		select {
		case <-a.stop:
			return nil
		case <-time.After(backoff):
		}
	}
}

// accept accepts a connection once a spare descriptor is reserved for its handover to
// gnet.
func (a *acceptor) accept(own *spare) (net.Conn, error) {
	if err := own.take(); err != nil {
		return nil, err
	}
	return a.listener.Accept()
}

func (a *acceptor) stopped() bool {
	select {
	case <-a.stop:
		return true
	default:
		return false
	}
}

// countFailure counts a failed attempt, and reports it if the last report is old.
func (a *acceptor) countFailure(err error) {
	a.options.AcceptFailed(AcceptCause(err))
	a.failed++
	if now := time.Now(); a.reported.IsZero() || now.Sub(a.reported) >= reportEvery {
		a.reported, a.troubled = now, true
		a.report(err)
	}
}

// reportRecovery reports that connections are accepted again.
func (a *acceptor) reportRecovery() {
	if a.troubled {
		a.troubled = false
		a.report(nil)
	}
}

func (a *acceptor) report(err error) {
	a.options.AcceptTrouble(Trouble{Address: a.listener.bound.Address, Failed: a.failed, Err: err})
	a.failed = 0
}

// acceptCauses maps the errors of accept(2) that have a cause of their own.
var acceptCauses = map[error]string{
	unix.EMFILE:       "process_descriptors", // RLIMIT_NOFILE
	unix.ENFILE:       "system_descriptors",
	unix.ENOBUFS:      "socket_memory",
	unix.ENOMEM:       "socket_memory",
	unix.EPERM:        "firewall",
	unix.EPROTO:       "network",
	unix.ECONNABORTED: "network",
}

// causeOther is the cause of any other error.
const causeOther = "other"

// AcceptCause returns the cause of a failed accept as a bounded label.
func AcceptCause(err error) string {
	var number unix.Errno
	if errors.As(err, &number) {
		if cause, known := acceptCauses[number]; known {
			return cause
		}
	}
	return causeOther
}

// AcceptCauses returns every cause, some of them twice.
func AcceptCauses() []string {
	causes := []string{causeOther}
	for _, cause := range acceptCauses {
		causes = append(causes, cause)
	}
	return causes
}

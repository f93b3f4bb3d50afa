package reactor

import (
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// gnet's own accept ends the whole engine at most errors, EMFILE among them, and
// asks nobody before it cuts every session. So connections are accepted here and
// handed over by its client's EnrollContext, which returns once the loop has the
// connection: acceptorsPerLoop of them may wait for each loop.
const acceptorsPerLoop = 8

// The pauses between attempts to accept while accepting fails.
const (
	leastBackoff = 5 * time.Millisecond
	mostBackoff  = time.Second
	// reportEvery bounds the reports of one listener: its trouble may come and go.
	reportEvery = 10 * time.Second
)

// Trouble says that a listener cannot accept connections, which stay in its queue
// meanwhile, or that it can again.
type Trouble struct {
	Address string
	Failed  int   // attempts since the last report
	Err     error // of the last attempt; nil when connections are accepted again
}

// acceptor accepts the connections of one listener, on several goroutines.
type acceptor struct {
	listener *listener
	options  *Options
	enroll   func(net.Conn, *listener) error
	stop     <-chan struct{}

	turn sync.Mutex // held by the goroutine that accepts

	// Guarded by turn.
	failed   int       // attempts that were not reported
	reported time.Time // when trouble was reported last
	troubled bool      // trouble was reported and its end was not
}

// run accepts until the listener is closed. Several goroutines may run it.
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
			a.turn.Lock()
			a.fail(err)
			a.turn.Unlock()
		}
	}
}

// next returns the next connection, nil once the listener is closed. No error of
// accept(2) is the end: descriptors and memory come back, and what the network
// says of one connection says nothing of the next.
func (a *acceptor) next(own *spare) net.Conn {
	a.turn.Lock()
	defer a.turn.Unlock()
	for backoff := leastBackoff; ; backoff = min(2*backoff, mostBackoff) {
		conn, err := a.accept(own)
		switch {
		case err == nil:
			a.recover()
			return conn
		case errors.Is(err, net.ErrClosed) || a.stopped():
			return nil
		}
		a.fail(err)
		select {
		case <-a.stop:
			return nil
		case <-time.After(backoff):
		}
	}
}

// accept accepts a connection once there is a spare descriptor for its way to gnet.
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

// fail counts an attempt that failed, and reports it if the last report is old.
func (a *acceptor) fail(err error) {
	a.options.AcceptFailed(AcceptCause(err))
	a.failed++
	if now := time.Now(); a.reported.IsZero() || now.Sub(a.reported) >= reportEvery {
		a.reported, a.troubled = now, true
		a.report(err)
	}
}

// recover reports that connections are accepted again.
func (a *acceptor) recover() {
	if a.troubled {
		a.troubled = false
		a.report(nil)
	}
}

func (a *acceptor) report(err error) {
	a.options.AcceptTrouble(Trouble{Address: a.listener.bound.Address, Failed: a.failed, Err: err})
	a.failed = 0
}

// acceptCauses names the errors of accept(2) that are told apart.
var acceptCauses = map[error]string{
	unix.EMFILE:       "process_descriptors", // RLIMIT_NOFILE
	unix.ENFILE:       "system_descriptors",
	unix.ENOBUFS:      "socket_memory",
	unix.ENOMEM:       "socket_memory",
	unix.EPERM:        "firewall",
	unix.EPROTO:       "network",
	unix.ECONNABORTED: "network",
}

// causeOther is the cause of every other error.
const causeOther = "other"

// AcceptCause returns the cause of an error of accepting, a bounded label.
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

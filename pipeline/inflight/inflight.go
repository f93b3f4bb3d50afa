// Package inflight counts the requests of an adapter from their acceptance to their
// results, and ends the adapter once all results have come. It takes no lock: requests
// begin on event loops.
package inflight

import (
	"sync/atomic"
	"time"
)

// Tracker counts the requests of one adapter. Requests may begin and end on any
// goroutine; Wait and Drain are for the one goroutine that closes the adapter.
type Tracker struct {
	depth  atomic.Int64
	closed atomic.Bool
	idle   chan struct{} // a hint to Wait and Drain that depth may be 0
}

// New returns an open tracker without requests.
func New() *Tracker { return &Tracker{idle: make(chan struct{}, 1)} }

// Begin counts a request and reports whether the adapter is still open. A request that
// comes too late is counted as well: the caller refuses it, and calls Done as for any
// other.
func (t *Tracker) Begin() (open bool) {
	// Count before reading closed: Close sets closed before the count is read, so that
	// a request is either refused or waited for.
	t.depth.Add(1)
	return !t.closed.Load()
}

// Done ends requests that have had their results.
func (t *Tracker) Done(results int) {
	if t.depth.Add(-int64(results)) != 0 {
		return
	}
	select {
	case t.idle <- struct{}{}:
	default: // a hint is already there
	}
}

// Depth returns the number of requests without a result.
func (t *Tracker) Depth() int64 { return t.depth.Load() }

// Closed reports whether Close was called.
func (t *Tracker) Closed() bool { return t.closed.Load() }

// Close refuses requests from now on and reports whether this call was the first.
// Requests that began before are not touched.
func (t *Tracker) Close() (first bool) { return !t.closed.Swap(true) }

// Wait blocks until no request is in flight. The tracker must be closed.
func (t *Tracker) Wait() {
	for t.depth.Load() > 0 {
		<-t.idle
	}
}

// Drain waits for the requests in flight, until limit. Then it calls abort, which must
// fail the remaining ones, and waits for all results. It returns the number of requests
// that were left when limit expired. abort is called in any case. The tracker must be
// closed.
func (t *Tracker) Drain(limit time.Duration, abort func()) (left int64) {
	expired := time.NewTimer(limit)
	defer expired.Stop()
	for left == 0 && t.depth.Load() > 0 {
		select {
		case <-t.idle:
		case <-expired.C:
			// At least one: the limit was exceeded, even if the last result comes now.
			left = max(t.depth.Load(), 1)
		}
	}
	abort()
	t.Wait()
	return left
}

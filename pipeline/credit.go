package pipeline

import (
	"sync/atomic"
	"time"
)

// CreditRequest is a message's request for body memory that the budget did not have at
// once. It goes to the CreditQueue and returns to its loop exactly once, granted or not.
// A message has at most one in flight.
type CreditRequest struct {
	Task
	Loop      Poster       // the loop of the message
	OnResult  func()       // what the task does at that loop
	OnRequest func()       // what the task does at the queue's loop: Queue.Enqueue
	Queue     *CreditQueue // the queue that is asked

	Want
	Granted bool
	// Growing marks the request of a message that is being received and holds memory
	// already: Held bytes.
	Growing bool
	Held    int64
	// Counts is how much it counts for at least when many wait, as the kernel holds input
	// for each of them.
	Counts int64
	// Hold is the time that a growing message needed to receive as much as it holds.
	Hold  time.Duration
	Since time.Time // when the request was made

	inFlight bool // for the loop of the message alone
	dropped  atomic.Bool
}

// InFlight reports whether the request has yet to return.
func (r *CreditRequest) InFlight() bool { return r.inFlight }

// Begin sends the request to the loop that owns its queue.
func (r *CreditRequest) Begin(owner Poster) {
	r.Granted, r.inFlight = false, true
	r.dropped.Store(false)
	r.Task.Run = r.OnRequest
	owner.Post(&r.Task)
}

// End ends a request that has returned. It returns the credit that was granted, 0 when
// there is none. Credit that was granted to a dropped request goes back to the budget.
func (r *CreditRequest) End() (credit int64) {
	r.inFlight = false
	switch {
	case !r.Granted:
		return 0
	case r.Dropped():
		r.Queue.budget.Book(-r.Expected)
		r.Queue.budget.Give(r.Bytes)
		return 0
	}
	return r.Bytes
}

// Drop withdraws the request: the message wants no memory any more. The request still
// returns once.
func (r *CreditRequest) Drop() { r.dropped.Store(true) }

// Dropped reports whether Drop was called since Begin.
func (r *CreditRequest) Dropped() bool { return r.dropped.Load() }

// Want is what a message wants of a budget.
type Want struct {
	Bytes int64
	// Expected are the bytes that it is expected to take later, booked with those that
	// are granted.
	Expected int64
	// Unknown says that nobody knows what to expect of it.
	Unknown bool
}

// large reports whether it is wanted only if there is room for what others have booked.
func (w *Want) large() bool { return w.Expected > 0 || w.Unknown }

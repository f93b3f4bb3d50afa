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

	Bytes   int64 // wanted
	Granted bool
	// Growing marks the request of a message that is being received and holds memory
	// already.
	Growing bool
	Born    time.Time // when the message began to be received, of a growing one
	Since   time.Time // when the request was made

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

// CreditQueue hands out the credit of a Budget to messages that found none. It belongs
// to one event loop, which alone calls its methods. Requests of other loops reach it as
// tasks and return by the inbox of their own loop. How long a message waits is up to its
// session's deadline, which calls CreditRequest.Drop.
//
// Messages that are being received come first: they hold memory that only they can
// free, so a message that has not begun must wait for them. Within each kind it is first
// come, first served: a small request never passes a large one before it.
type CreditQueue struct {
	budget    *Budget
	growing   requestQueue
	beginning requestQueue
	grown     bool      // a growing message got memory since lastGrant was set
	lastGrant time.Time // the latest EvictYoungest that found grown
}

// NewCreditQueue returns the queue of a budget. notify is called, from any goroutine,
// when credit came back while messages wait: it must make the owner call Serve soon.
func NewCreditQueue(budget *Budget, notify func()) *CreditQueue {
	budget.notify = notify
	return &CreditQueue{budget: budget}
}

// Enqueue queues a request whose claim failed.
func (q *CreditQueue) Enqueue(r *CreditRequest) {
	q.budget.queued(r, 1) // before Serve looks, so that a Give meanwhile notifies
	if r.Growing {
		q.growing.push(r)
	} else {
		q.beginning.push(r)
	}
	q.Serve()
}

// Serve grants the requests for which there is credit, and returns dropped ones.
func (q *CreditQueue) Serve() {
	if q.serve(&q.growing) {
		q.serve(&q.beginning)
	}
}

// serve reports whether no request is left waiting.
func (q *CreditQueue) serve(waiting *requestQueue) bool {
	for r := waiting.first(); r != nil; r = waiting.first() {
		if !r.Dropped() {
			if !q.budget.TryTake(r.Bytes) {
				return false
			}
			r.Granted = true
			q.grown = q.grown || r.Growing
		}
		waiting.shift()
		q.answer(r)
	}
	return true
}

// Prune returns dropped requests wherever they stand in the queue, so that senders that
// gave up cost nothing while credit is short.
func (q *CreditQueue) Prune() {
	for _, waiting := range []*requestQueue{&q.growing, &q.beginning} {
		waiting.remove(func(r *CreditRequest) bool {
			if r.Dropped() {
				q.answer(r)
			}
			return r.Dropped()
		})
	}
	q.Serve()
}

// EvictYoungest refuses the youngest of the messages that are being received and wait
// for more memory. It does so when the first has waited for patience and no such message
// got memory in that time. Else all of them could wait for memory that they hold
// themselves. The first in the queue is never refused, so that one always finishes.
// EvictYoungest is called at every tick, and reports whether it refused a message.
func (q *CreditQueue) EvictYoungest(now time.Time, patience time.Duration) bool {
	if q.grown {
		q.grown, q.lastGrant = false, now
	}
	head, since := q.growing.first(), now.Add(-patience)
	if head == nil || head.Since.After(since) || q.lastGrant.After(since) {
		return false
	}
	var youngest *CreditRequest
	for _, r := range q.growing.all()[1:] {
		if youngest == nil || r.Born.After(youngest.Born) {
			youngest = r
		}
	}
	if youngest == nil {
		return false
	}
	q.growing.remove(func(r *CreditRequest) bool { return r == youngest })
	q.answer(youngest)
	return true
}

// Waiting returns the number of messages in the queue.
func (q *CreditQueue) Waiting() int { return len(q.growing.all()) + len(q.beginning.all()) }

// answer returns a request to its loop.
func (q *CreditQueue) answer(r *CreditRequest) {
	q.budget.queued(r, -1)
	r.Task.Run = r.OnResult
	r.Loop.Post(&r.Task)
}

// requestQueue is a first-in, first-out queue that keeps its memory.
type requestQueue struct {
	list []*CreditRequest // from head on
	head int
}

func (s *requestQueue) all() []*CreditRequest { return s.list[s.head:] }

func (s *requestQueue) first() *CreditRequest {
	if s.head == len(s.list) {
		return nil
	}
	return s.list[s.head]
}

func (s *requestQueue) push(r *CreditRequest) { s.list = append(s.list, r) }

func (s *requestQueue) shift() {
	s.list[s.head] = nil
	s.head++
	if s.head == len(s.list) {
		s.list, s.head = s.list[:0], 0
	}
}

// remove removes the requests for which out returns true.
func (s *requestQueue) remove(out func(*CreditRequest) bool) {
	kept := s.list[:0]
	for _, r := range s.all() {
		if !out(r) {
			kept = append(kept, r)
		}
	}
	clear(s.list[len(kept):])
	s.list, s.head = kept, 0
}

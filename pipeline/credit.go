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

// CreditQueue hands out the credit of a Budget to messages that found none. It belongs
// to one event loop, which alone calls its methods. Requests of other loops reach it as
// tasks and return by the inbox of their own loop. How long a message waits is up to its
// session's deadline, which calls CreditRequest.Drop.
//
// Messages that are being received come first: they hold memory that only they can free.
// First of all come those that take what was booked for them, and then those that have
// outgrown what was expected of them, which wait until there is room for what is expected
// now. A small request passes a larger one before it, until that has waited for the
// queue's patience. Small messages that begin find what Budget.LeaveRoom left them, and do
// not ask for what was booked: they pass those that wait for room, and for three times the
// patience those that take what was booked for them. A large message begins when there is room for all that is expected of
// it and of others. When none grew or began so for the patience, one does without.
type CreditQueue struct {
	budget   *Budget
	patience time.Duration
	now      time.Time // of the last tick

	growing   requestQueue
	outgrown  requestQueue // of those that grow beyond what was expected
	beginning requestQueue // of small messages
	large     requestQueue // of messages that may grow

	grew     time.Time // when a message that is being received last got memory
	began    time.Time // when a message that begins last did
	largeOne time.Time // when a large one last did
}

// passing bounds the requests behind the first that are looked at.
const passing = 32

// NewCreditQueue returns the queue of a budget. notify is called, from any goroutine,
// when credit came back while messages wait: it must make the owner call Serve soon.
func NewCreditQueue(budget *Budget, patience time.Duration, notify func()) *CreditQueue {
	budget.notify = notify
	return &CreditQueue{budget: budget, patience: patience}
}

// Enqueue queues a request whose claim failed.
func (q *CreditQueue) Enqueue(r *CreditRequest) {
	q.budget.queued(r, 1) // before Serve looks, so that a Give meanwhile notifies
	switch {
	case r.Growing && r.large():
		q.outgrown.push(r)
	case r.Growing:
		q.growing.push(r)
	case r.large():
		q.large.push(r)
	default:
		q.beginning.push(r)
	}
	q.Serve()
}

// Serve grants the requests for which there is credit, and returns dropped ones.
func (q *CreditQueue) Serve() {
	for _, waiting := range []*requestQueue{&q.growing, &q.outgrown} {
		first := q.serve(waiting)
		switch {
		case first == nil:
		case !q.waited(first, q.patience):
			q.pass(waiting)
		case first.large() && !q.grew.After(q.now.Add(-q.patience)) && q.grantWithoutRoom(waiting):
			q.Serve() // for the others: the next one waits for the patience
			return
		default: // small messages find what was left to them
			if first.large() || !q.waited(first, 3*q.patience) {
				q.serve(&q.beginning)
			}
			return
		}
	}
	if q.serveLarge() {
		q.serve(&q.beginning)
	}
}

// serveLarge serves the large messages. It reports whether small ones may begin: they may
// not take what the first large one has waited for long enough.
func (q *CreditQueue) serveLarge() bool {
	first := q.serve(&q.large)
	if first == nil || !q.waited(first, q.patience) || q.growing.first() != nil || q.outgrown.first() != nil || q.largeOne.After(q.now.Add(-q.patience)) {
		return true
	}
	return q.grantWithoutRoom(&q.large)
}

// grantWithoutRoom grants the first request of a queue although there is no room for what
// is expected of it and of others. It reports whether what it wants now was there.
func (q *CreditQueue) grantWithoutRoom(waiting *requestQueue) bool {
	first := waiting.first()
	if !q.mayTake(first) || !q.budget.TryTake(first.Bytes) {
		return false
	}
	q.budget.Book(first.Expected)
	q.grant(first)
	waiting.shift()
	return true
}

// serve serves a queue in turn. It returns the first request that goes on waiting.
func (q *CreditQueue) serve(waiting *requestQueue) *CreditRequest {
	for r := waiting.first(); r != nil; r = waiting.first() {
		if !q.settle(r) {
			return r
		}
		waiting.shift()
	}
	return nil
}

// pass serves small requests behind the first.
func (q *CreditQueue) pass(waiting *requestQueue) {
	for i := 1; i < min(passing, len(waiting.all())); i++ {
		if q.settle(waiting.all()[i]) {
			waiting.take(i)
			i--
		}
	}
}

// settle grants a request for which there is credit, or returns one that was dropped. It
// reports whether it did.
func (q *CreditQueue) settle(r *CreditRequest) bool {
	switch {
	case r.Dropped():
		q.answer(r)
	case q.mayTake(r) && q.budget.takeWithin(r.Want):
		q.grant(r)
	default:
		return false
	}
	return true
}

// mayTake reports whether a request leaves others what is theirs. A message that alone
// waits for more may take what is left to those that begin, once it has waited for the
// patience.
func (q *CreditQueue) mayTake(r *CreditRequest) bool {
	alone := len(q.growing.all())+len(q.outgrown.all()) == 1 && q.waited(r, q.patience)
	return !r.Growing || alone || q.budget.leaves(r.Bytes)
}

// grant returns a request whose bytes were taken.
func (q *CreditQueue) grant(r *CreditRequest) {
	r.Granted = true
	switch {
	case r.Growing:
		q.grew = q.now
	case r.large():
		q.largeOne = q.now
		fallthrough
	default:
		q.began = q.now
	}
	q.answer(r)
}

// waited reports whether a request has waited for d.
func (q *CreditQueue) waited(r *CreditRequest, d time.Duration) bool {
	return !r.Since.After(q.now.Add(-d))
}

// Tick is called at every tick. It returns dropped requests wherever they stand in the
// queue, so that senders that gave up cost nothing while credit is short.
func (q *CreditQueue) Tick(now time.Time) {
	q.now = now
	for _, waiting := range []*requestQueue{&q.growing, &q.outgrown, &q.beginning, &q.large} {
		waiting.remove(func(r *CreditRequest) bool {
			dropped := r.Dropped()
			if dropped {
				q.answer(r) // and it may be made anew at once
			}
			return dropped
		})
	}
	q.Serve()
}

// EvictSlowest refuses, of the messages that are being received and wait for more memory,
// those that hold most for what they have received lately, and of equals the last. It does
// so when the first has waited for the patience and no such message got memory in that
// time, until there is what the first waits for. Else all of them could wait for memory
// that they hold themselves. The first is never refused, so that one always finishes.
// EvictSlowest is called after Tick, and returns the number of messages that it refused.
func (q *CreditQueue) EvictSlowest() (refused int) {
	head := q.growing.first()
	if head == nil {
		head = q.outgrown.first()
	}
	if head == nil || !q.waited(head, q.patience) || q.grew.After(q.now.Add(-q.patience)) {
		return q.evictCrowd(head)
	}
	wanted := q.budget.Used() + head.Bytes - q.budget.Limit()
	if head.large() {
		wanted += q.budget.Booked() + head.Expected
	}
	for freed := int64(0); freed < max(1, wanted); refused++ {
		r := q.takeSlowest(head)
		if r == nil {
			break
		}
		freed += r.Held
		q.answer(r)
	}
	if refused > 0 {
		q.grew = q.now // what comes back by this is on its way
	}
	return refused
}

// crowdsOut bounds the messages that are refused in a tick because many wait.
const crowdsOut = 100

// evictCrowd refuses the slowest of the messages that wait while they are received, but the
// first, as long as they hold more than three quarters of the budget and that keeps
// others from beginning, or has lasted for a third of the patience.
func (q *CreditQueue) evictCrowd(head *CreditRequest) (refused int) {
	begins := q.beginning.first()
	if head == nil || begins == nil && !q.waited(head, q.patience/3) {
		return 0
	}
	held := int64(0)
	for _, waiting := range []*requestQueue{&q.growing, &q.outgrown} {
		for _, r := range waiting.all() {
			held += max(r.Held, r.Counts)
		}
	}
	for ; held > q.budget.limit/4*3 && refused < crowdsOut; refused++ {
		r := q.takeSlowest(head)
		if r == nil {
			break
		}
		held -= max(r.Held, r.Counts)
		q.answer(r)
	}
	return refused
}

// takeSlowest takes the message other than head that holds most for what it has received
// lately, of those that are being received, from its queue.
func (q *CreditQueue) takeSlowest(head *CreditRequest) *CreditRequest {
	var slowest *CreditRequest
	var from *requestQueue
	at := 0
	for _, waiting := range []*requestQueue{&q.growing, &q.outgrown} {
		for i, r := range waiting.all() {
			if r != head && (slowest == nil || r.Hold >= slowest.Hold) {
				slowest, from, at = r, waiting, i
			}
		}
	}
	if slowest != nil {
		from.take(at)
	}
	return slowest
}

// Waiting returns the number of messages in the queue.
func (q *CreditQueue) Waiting() int {
	return len(q.growing.all()) + len(q.outgrown.all()) + len(q.beginning.all()) + len(q.large.all())
}

// Waited returns how long, by the last tick, messages have waited to grow while none of
// them got memory, or to begin while none of those did, whichever is longer.
func (q *CreditQueue) Waited() time.Duration {
	var waited time.Duration
	for _, class := range []struct {
		queue *requestQueue
		last  time.Time
	}{{&q.growing, q.grew}, {&q.outgrown, q.grew}, {&q.beginning, q.began}, {&q.large, q.began}} {
		if first := class.queue.first(); first != nil {
			waited = max(waited, min(q.now.Sub(first.Since), q.now.Sub(class.last)))
		}
	}
	return waited
}

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

// take removes the request at place i behind the first, and keeps the order.
func (s *requestQueue) take(i int) {
	copy(s.list[s.head+1:s.head+i+1], s.list[s.head:s.head+i])
	s.shift()
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

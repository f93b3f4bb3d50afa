package pipeline

import "time"

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
// patience those that take what was booked for them. A large message begins when there is
// room for all that is expected of it and of others. When none grew or began so for the
// patience, one does without.
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
	switch {
	case first == nil || !q.waited(first, q.patience):
		return true
	case q.growing.first() != nil || q.outgrown.first() != nil || q.largeOne.After(q.now.Add(-q.patience)):
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

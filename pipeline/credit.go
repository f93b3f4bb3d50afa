package pipeline

import "time"

// CreditQueue hands out the credit of a Budget to messages that found none. It
// belongs to one event loop, which alone calls its methods; asks of other loops
// reach it by parcel and leave by their own door. How long a message waits is the
// business of its session's deadline, which calls Ask.Drop.
//
// Messages that are being received come first: they hold memory that only they
// can free, so who has not begun must wait for them. Within each kind it is first
// come, first served, and a small ask never passes a large one before it.
type CreditQueue struct {
	budget    *Budget
	growing   asks
	beginning asks
	grown     bool      // a growing message got memory since calm was set
	calm      time.Time // until when that was so
}

// NewCreditQueue makes the queue of a budget. nudge is called, from any
// goroutine, when credit came back while messages wait: it must make the owner
// call Serve soon.
func NewCreditQueue(budget *Budget, nudge func()) *CreditQueue {
	budget.nudge = nudge
	return &CreditQueue{budget: budget}
}

// Ask queues an ask whose claim failed.
func (q *CreditQueue) Ask(a *Ask) {
	q.budget.queued(a, 1) // before Serve looks, so that a Give meanwhile nudges
	if a.Growing {
		q.growing.push(a)
	} else {
		q.beginning.push(a)
	}
	q.Serve()
}

// Serve grants what can be granted, and sends dropped asks home.
func (q *CreditQueue) Serve() {
	if q.serve(&q.growing) {
		q.serve(&q.beginning)
	}
}

// serve says whether nobody is left waiting.
func (q *CreditQueue) serve(waiting *asks) bool {
	for a := waiting.first(); a != nil; a = waiting.first() {
		if !a.Dropped() {
			if !q.budget.TryTake(a.Octets) {
				return false
			}
			a.Granted = true
			q.grown = q.grown || a.Growing
		}
		waiting.shift()
		q.sendHome(a)
	}
	return true
}

// Sweep sends dropped asks home wherever they stand in the queue, so that senders
// that gave up cost nothing while credit is short.
func (q *CreditQueue) Sweep() {
	for _, waiting := range []*asks{&q.growing, &q.beginning} {
		waiting.sift(func(a *Ask) bool {
			if a.Dropped() {
				q.sendHome(a)
			}
			return a.Dropped()
		})
	}
	q.Serve()
}

// Relieve refuses the youngest of the messages that are being received and wait
// for more, when the one that has waited longest has done so for patience and
// nobody got any in that time. Else all of them could wait for memory that they
// hold themselves. The first in the queue is never refused, so that one always
// finishes. It is called again and again, and says whether it refused one.
func (q *CreditQueue) Relieve(now time.Time, patience time.Duration) bool {
	if q.grown {
		q.grown, q.calm = false, now
	}
	head, since := q.growing.first(), now.Add(-patience)
	if head == nil || head.Since.After(since) || q.calm.After(since) {
		return false
	}
	var youngest *Ask
	for _, a := range q.growing.all()[1:] {
		if youngest == nil || a.Born.After(youngest.Born) {
			youngest = a
		}
	}
	if youngest == nil {
		return false
	}
	q.growing.sift(func(a *Ask) bool { return a == youngest })
	q.sendHome(youngest)
	return true
}

// Waiting gives the number of messages in the queue.
func (q *CreditQueue) Waiting() int { return len(q.growing.all()) + len(q.beginning.all()) }

func (q *CreditQueue) sendHome(a *Ask) {
	q.budget.queued(a, -1)
	a.Parcel.Open = a.Home
	a.Door.Post(&a.Parcel)
}

// asks is a queue that keeps its memory.
type asks struct {
	list []*Ask // from head on
	head int
}

func (s *asks) all() []*Ask { return s.list[s.head:] }

func (s *asks) first() *Ask {
	if s.head == len(s.list) {
		return nil
	}
	return s.list[s.head]
}

func (s *asks) push(a *Ask) { s.list = append(s.list, a) }

func (s *asks) shift() {
	s.list[s.head] = nil
	s.head++
	if s.head == len(s.list) {
		s.list, s.head = s.list[:0], 0
	}
}

// sift takes out those for which out is true.
func (s *asks) sift(out func(*Ask) bool) {
	kept := s.list[:0]
	for _, a := range s.all() {
		if !out(a) {
			kept = append(kept, a)
		}
	}
	clear(s.list[len(kept):])
	s.list, s.head = kept, 0
}

package pipeline

// CreditQueue hands out credit to messages that found none: first come, first
// served. It belongs to one event loop, which alone calls its methods; messages
// of other loops reach it by parcel, and its answers leave by the message's own
// door. How long a message waits is the business of its session's deadline,
// which calls Message.Forsake.
type CreditQueue struct {
	budget  *Budget
	waiting []*Message // from head on
	head    int
}

// NewCreditQueue makes the queue of a budget. nudge is called, from any
// goroutine, when credit came back while messages wait: it must make the owner
// call Serve soon.
func NewCreditQueue(budget *Budget, nudge func()) *CreditQueue {
	budget.nudge = nudge
	return &CreditQueue{budget: budget}
}

// Ask queues a message whose Claim of m.Wanted octets failed. The answer comes by m.Door:
// m.Credit is Wanted when it was granted.
func (q *CreditQueue) Ask(m *Message) {
	q.budget.waiters.Add(1) // before Serve looks, so that a Give meanwhile nudges
	q.waiting = append(q.waiting, m)
	q.Serve()
}

// Serve grants what can be granted, oldest first, and sends forsaken messages
// home. It never lets a small request pass a large one that came before it.
func (q *CreditQueue) Serve() {
	for q.head < len(q.waiting) {
		m := q.waiting[q.head]
		if m.forsaken.Load() {
			q.leave(m)
			continue
		}
		if !q.budget.TryTake(m.Wanted) {
			break
		}
		m.Credit = m.Wanted
		q.leave(m)
	}
	if q.head == len(q.waiting) {
		q.waiting, q.head = q.waiting[:0], 0
	}
}

// Sweep sends forsaken messages home wherever they stand in the queue, so that
// senders that gave up cost nothing while credit is short.
func (q *CreditQueue) Sweep() {
	kept := q.waiting[:0]
	for _, m := range q.waiting[q.head:] {
		if m.forsaken.Load() {
			q.sendHome(m)
			continue
		}
		kept = append(kept, m)
	}
	clear(q.waiting[len(kept):])
	q.waiting, q.head = kept, 0
	q.Serve()
}

// Waiting gives the number of messages in the queue.
func (q *CreditQueue) Waiting() int { return len(q.waiting) - q.head }

func (q *CreditQueue) leave(m *Message) {
	q.waiting[q.head] = nil
	q.head++
	q.sendHome(m)
}

func (q *CreditQueue) sendHome(m *Message) {
	q.budget.waiters.Add(-1)
	m.Parcel.Open = m.Home
	m.Door.Post(&m.Parcel)
}

package pipeline

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

package pipeline

import "sync/atomic"

// Budget bounds the octets of body slabs in the whole process. It is safe for
// concurrent use and never blocks. What is taken is called credit.
type Budget struct {
	limit   int64
	used    atomic.Int64
	waiters atomic.Int64
	growers atomic.Int64 // those of the waiters that hold credit already
	nudge   func()       // tells the CreditQueue that credit came back; set once by it
}

// NewBudget makes a budget of limit octets.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Limit gives the budget in octets.
func (b *Budget) Limit() int64 { return b.limit }

// Used gives the octets taken now.
func (b *Budget) Used() int64 { return b.used.Load() }

// Waiters gives the number of messages that wait for credit.
func (b *Budget) Waiters() int64 { return b.waiters.Load() }

// TryTake takes n octets if they are there.
func (b *Budget) TryTake(n int64) bool {
	for {
		used := b.used.Load()
		if used+n > b.limit {
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// Claim takes n octets if they are there and nobody waits who comes first. If
// not, the caller's Ask goes to the CreditQueue.
func (b *Budget) Claim(n int64) bool {
	return b.waiters.Load() == 0 && b.TryTake(n)
}

// ClaimMore is Claim for a message that is being received. Those that wait to
// begin do not come before it.
func (b *Budget) ClaimMore(n int64) bool {
	return b.growers.Load() == 0 && b.TryTake(n)
}

// Give returns n octets.
func (b *Budget) Give(n int64) {
	b.used.Add(-n)
	if b.waiters.Load() > 0 && b.nudge != nil {
		b.nudge()
	}
}

func (b *Budget) queued(a *Ask, by int64) {
	b.waiters.Add(by)
	if a.Growing {
		b.growers.Add(by)
	}
}

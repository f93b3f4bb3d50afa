package pipeline

import "sync/atomic"

// Budget bounds the bytes of body slabs in the whole process. It is safe for concurrent
// use and never blocks. Bytes that are taken from it are called credit.
type Budget struct {
	limit   int64
	used    atomic.Int64
	least   atomic.Int64 // of used, since LeastUsed was called
	booked  atomic.Int64 // what messages are expected to take beyond what they have
	waiters atomic.Int64
	growers atomic.Int64 // those of the waiters that take what was booked for them
	notify  func()       // tells the CreditQueue that credit came back; set once by it
	left    int64        // what messages that grow leave to those that begin
}

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// LeaveRoom has messages that grow leave n bytes to those that begin. It is called before
// the budget is used.
func (b *Budget) LeaveRoom(n int64) { b.left = n }

// Limit returns the budget in bytes.
func (b *Budget) Limit() int64 { return b.limit }

// Used returns the bytes that are taken.
func (b *Budget) Used() int64 { return b.used.Load() }

// LeastUsed returns the least number of bytes that were taken at any time since it was
// called last. It has one caller.
func (b *Budget) LeastUsed() int64 { return b.least.Swap(b.used.Load()) }

// Waiters returns the number of messages that wait for credit.
func (b *Budget) Waiters() int64 { return b.waiters.Load() }

// TryTake takes n bytes if they are there, and reports whether it did.
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

// TakeBelow is TryTake for what must leave an eighth of the budget to others.
func (b *Budget) TakeBelow(n int64) bool {
	return b.used.Load()+n <= b.limit-b.limit/8 && b.TryTake(n)
}

// Claim takes what a message wants if it is there and no message waits that comes first.
// It books the bytes that the message is expected to take later, and fails when there is
// no room for all. It reports whether it took them. If not, the caller's CreditRequest
// goes to the CreditQueue.
func (b *Budget) Claim(w Want) bool {
	return b.waiters.Load() == 0 && b.takeWithin(w)
}

// takeWithin takes what is wanted and books what is expected, if there is room for both
// beside what others have booked. A message that will not grow does not ask for what
// others have booked. One that is expected to grow beside others finds room in what
// messages that grow may take.
func (b *Budget) takeWithin(w Want) bool {
	others, most := b.used.Load()+b.booked.Load(), b.limit
	if w.Expected > 0 && !w.Unknown && others > 0 {
		most -= b.left
	}
	if w.large() && others+w.Bytes+w.Expected > most || !b.TryTake(w.Bytes) {
		return false
	}
	b.Book(w.Expected)
	return true
}

// Book adds n bytes to what messages are expected to take. Bytes that were booked are not
// taken: they only keep large messages from beginning all at once. n is negative for a
// message that takes them now, or that will not.
func (b *Budget) Book(n int64) {
	if n != 0 {
		b.booked.Add(n)
	}
}

// Booked returns the bytes that are booked.
func (b *Budget) Booked() int64 { return b.booked.Load() }

// Growers returns the number of messages that wait for what was booked for them.
func (b *Budget) Growers() int64 { return b.growers.Load() }

// ClaimMore is Claim for a message that is being received. Messages that wait to begin
// do not come before it, and it leaves them what LeaveRoom says.
func (b *Budget) ClaimMore(w Want) bool {
	return b.growers.Load() == 0 && b.leaves(w.Bytes) && b.takeWithin(w)
}

// leaves reports whether what a message that grows must leave is there beside n bytes.
func (b *Budget) leaves(n int64) bool { return b.used.Load()+n <= b.limit-b.left }

// Give puts n bytes back.
func (b *Budget) Give(n int64) {
	used := b.used.Add(-n)
	for least := b.least.Load(); used < least && !b.least.CompareAndSwap(least, used); {
		least = b.least.Load()
	}
	if b.waiters.Load() > 0 && b.notify != nil {
		b.notify()
	}
}

func (b *Budget) queued(r *CreditRequest, by int64) {
	b.waiters.Add(by)
	if r.Growing && !r.large() {
		b.growers.Add(by)
	}
}

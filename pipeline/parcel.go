package pipeline

import "sync/atomic"

// Parcel is one thing on its way to the single-threaded owner of something:
// a result for a message, a grant of credit. It is embedded in what it
// carries, so sending one allocates nothing. A parcel may be under way once at
// a time.
type Parcel struct {
	next *Parcel
	// Open is called by the receiving owner, on its own thread. It is set once,
	// when the thing that carries the parcel is made.
	Open func()
}

// Door takes parcels to the owner behind it. Post may be called from any
// goroutine, never blocks, and never runs the parcel itself.
type Door interface {
	Post(p *Parcel)
}

// Inbox is the lock-free queue behind a Door: many senders, one receiver.
// The zero value is empty.
type Inbox struct {
	head atomic.Pointer[Parcel]
}

// Push adds a parcel and says whether the inbox was empty before.
func (b *Inbox) Push(p *Parcel) (wasEmpty bool) {
	for {
		head := b.head.Load()
		p.next = head
		if b.head.CompareAndSwap(head, p) {
			return head == nil
		}
	}
}

// Empty says whether nothing waits.
func (b *Inbox) Empty() bool { return b.head.Load() == nil }

// OpenAll takes everything that waits and opens it in the order in which it
// was pushed. What is pushed meanwhile stays for the next call. It returns the
// number of parcels opened.
func (b *Inbox) OpenAll() int {
	newest := b.head.Swap(nil)
	var oldest *Parcel
	for newest != nil {
		newest.next, oldest, newest = oldest, newest, newest.next
	}
	n := 0
	for oldest != nil {
		p := oldest
		oldest = p.next
		p.next = nil
		p.Open()
		n++
	}
	return n
}

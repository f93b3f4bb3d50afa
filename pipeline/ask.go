package pipeline

import (
	"sync/atomic"
	"time"
)

// Ask is a message's request for body memory that it did not find at once. It
// goes to the CreditQueue and comes home exactly once, granted or not; a message
// has at most one under way.
type Ask struct {
	Parcel
	Door  Door         // its loop's door
	Home  func()       // what the parcel does behind it
	Asks  func()       // what the parcel does behind the queue's door: Queue.Ask
	Queue *CreditQueue // the one that is asked

	Octets  int64 // wanted
	Granted bool
	// Growing is an ask of a message that is being received and holds memory
	// already.
	Growing bool
	Born    time.Time // when the message began to be received, of a growing one
	Since   time.Time // when it was asked

	underWay bool // for the loop
	dropped  atomic.Bool
}

// UnderWay says whether the ask has yet to come home.
func (a *Ask) UnderWay() bool { return a.underWay }

// Begin sends the ask to the owner of its queue.
func (a *Ask) Begin(owner Door) {
	a.Granted, a.underWay = false, true
	a.dropped.Store(false)
	a.Parcel.Open = a.Asks
	owner.Post(&a.Parcel)
}

// End takes note that the ask is home and says whether it brings credit. What
// was granted and is not wanted any more goes back.
func (a *Ask) End() (credit int64) {
	a.underWay = false
	switch {
	case !a.Granted:
		return 0
	case a.Dropped():
		a.Queue.budget.Give(a.Octets)
		return 0
	}
	return a.Octets
}

// Drop says that nobody wants the memory any more. The ask still comes home.
func (a *Ask) Drop() { a.dropped.Store(true) }

// Dropped says whether Drop was called since Begin.
func (a *Ask) Dropped() bool { return a.dropped.Load() }

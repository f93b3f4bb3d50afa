package pack

import (
	"time"

	"sluice/pipeline"
)

// Waiting is a message that waits for a worker, put at Since.
type Waiting struct {
	Message *pipeline.Message
	Since   time.Time
}

// Line is where messages wait for the workers of a Batcher, and how these wait for them:
// all that a Batcher knows of the clock and of other goroutines.
type Line interface {
	// Now returns the time.
	Now() time.Time
	// Put adds a message and reports whether there was room. It never blocks.
	Put(w Waiting) bool
	// Begin waits until the caller alone may fill a pack, and then for its first message.
	// The caller must call End, unless Begin returns false: the line is closed and empty,
	// or stop is closed.
	Begin(stop <-chan struct{}) (first Waiting, open bool)
	// Next returns the next message, and waits for one until the time that until returns.
	// It calls until again whenever a request has ended.
	Next(until func() time.Time) (next Waiting, found bool)
	// End lets another worker fill a pack. leftover is its first message, unless it is nil.
	End(leftover *Waiting)
	// Completed says that a request has ended.
	Completed()
	// Close ends the line. Put must not be called after it.
	Close()
}

// channelLine is a Line on channels.
type channelLine struct {
	queue chan Waiting
	// token is held by the one worker that fills a pack. Its value is the message that
	// the holder before took and did not add, or nil.
	token     chan *Waiting
	completed chan struct{} // wakes the holder of token when a request has ended
	timer     *time.Timer   // of the holder of token
}

func newChannelLine(size int) *channelLine {
	l := &channelLine{
		queue: make(chan Waiting, size),
		token: make(chan *Waiting, 1), completed: make(chan struct{}, 1),
		timer: time.NewTimer(0),
	}
	l.timer.Stop()
	l.token <- nil
	return l
}

func (*channelLine) Now() time.Time { return time.Now() }

func (l *channelLine) Put(w Waiting) bool {
	select {
	case l.queue <- w:
		return true
	default:
		return false
	}
}

func (l *channelLine) Begin(stop <-chan struct{}) (first Waiting, open bool) {
	var leftover *Waiting
	select {
	case leftover = <-l.token:
	case <-stop:
		return Waiting{}, false
	}
	if leftover != nil {
		return *leftover, true
	}
	select {
	case first, open = <-l.queue:
	case <-stop:
	}
	if !open {
		l.token <- nil
	}
	return first, open
}

func (l *channelLine) Next(until func() time.Time) (next Waiting, found bool) {
	for {
		select {
		case next, found = <-l.queue:
			return next, found
		default:
		}
		remaining := time.Until(until())
		if remaining <= 0 {
			return Waiting{}, false
		}
		l.timer.Reset(remaining)
		select {
		case next, found = <-l.queue:
			return next, found
		case <-l.completed: // a smaller pack may now be enough
		case <-l.timer.C:
		}
	}
}

func (l *channelLine) End(leftover *Waiting) { l.token <- leftover }

func (l *channelLine) Completed() {
	select {
	case l.completed <- struct{}{}:
	default:
	}
}

func (l *channelLine) Close() { close(l.queue) }

package verifier

import (
	"sync/atomic"

	"sluice/pipeline"
)

// queue holds the pieces of one message, in order. The loop puts them, one reader takes
// them. Neither waits for the other.
type queue struct {
	newest atomic.Pointer[item]
	oldest *item // of those that the reader has taken over
}

type item struct {
	piece *pipeline.Piece
	next  *item // the older one; once it was taken over, the newer one
}

// busy stands for a queue whose pieces were all taken over by the reader, who is at work.
var busy item

// put adds a piece. It reports whether there is no reader: the caller has to call one.
func (q *queue) put(p *pipeline.Piece) (first bool) {
	added := &item{piece: p}
	for {
		newest := q.newest.Load()
		added.next = newest
		if q.newest.CompareAndSwap(newest, added) {
			return newest == nil
		}
	}
}

// take returns the oldest piece. When there is none it returns nil, and the reader is to
// end: the next piece calls another.
func (q *queue) take() *pipeline.Piece {
	for q.oldest == nil {
		if q.newest.CompareAndSwap(&busy, nil) {
			return nil
		}
		for at := q.newest.Swap(&busy); at != nil && at != &busy; {
			older := at.next
			at.next, q.oldest = q.oldest, at
			at = older
		}
	}
	first := q.oldest
	q.oldest = first.next
	return first.piece
}

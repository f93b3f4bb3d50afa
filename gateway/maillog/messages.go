package maillog

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"sluice/gateway/driver"
	"sluice/pipeline"
)

const (
	// chunkBytes is the size from which a chunk is not filled further.
	chunkBytes = batchBytes
	// maxChunks bounds the memory of message lines that wait for the writer, to 2 MiB.
	maxChunks = 32
	// maxLine is the room for the last line of a chunk, more than any client's can have.
	maxLine = 8 << 10
	// messageLinger is how long the writer waits for more messages after the first, unless
	// half of the chunks are full. To wake it costs more than to format some lines.
	messageLinger = 100 * time.Millisecond
)

// chunk holds lines of accepted messages, one after another.
type chunk struct {
	text  []byte
	lines int64
}

// messageLines takes the lines of accepted messages from the event loops to the writer.
// All loops append to one chunk in turn: each takes it out for its line and puts it back,
// so that none ever waits. A loop that finds none there begins another.
type messageLines struct {
	format  lineFormat
	share   atomic.Uint64 // of 1<<32, the messages that have a line
	current atomic.Pointer[chunk]
	made    atomic.Int32
	spare   chan *chunk
	full    chan *chunk
	waits   atomic.Bool   // whether begun was told
	begun   chan struct{} // tells the writer of the first line in a while
	filled  chan struct{} // tells the writer that many chunks are full
}

func (q *messageLines) init(format lineFormat) {
	q.format = format
	q.spare, q.full = make(chan *chunk, maxChunks), make(chan *chunk, maxChunks)
	q.begun, q.filled = make(chan struct{}, 1), make(chan struct{}, 1)
}

func (q *messageLines) setShare(share float64) { q.share.Store(uint64(share * (1 << 32))) }

// samples reports whether a message has a line. The last bits of ids are random.
func (q *messageLines) samples(id pipeline.ID) bool {
	return uint64(binary.BigEndian.Uint32(id[12:])) < q.share.Load()
}

// add adds the line of a message. It reports whether there was room.
func (q *messageLines) add(a *driver.Acceptance) bool {
	c := q.take()
	if c == nil {
		return false
	}
	c.text = q.format.appendAcceptance(c.text, a)
	c.lines++
	q.put(c)
	return true
}

// take returns a chunk with room for a line, nil if all chunks are full.
func (q *messageLines) take() *chunk {
	if c := q.current.Swap(nil); c != nil {
		return c
	}
	select {
	case c := <-q.spare:
		return c
	default:
	}
	if q.made.Add(1) > maxChunks {
		q.made.Add(-1)
		return nil
	}
	return &chunk{text: make([]byte, 0, chunkBytes+maxLine)}
}

// put hands a chunk to the next loop, or to the writer if it is full.
func (q *messageLines) put(c *chunk) {
	for {
		if len(c.text) >= chunkBytes {
			q.full <- c // never waits: there are not more chunks than it holds
			break
		}
		if q.current.CompareAndSwap(nil, c) {
			break
		}
		other := q.current.Swap(nil) // of a loop that was faster: make one chunk of two
		switch {
		case other == nil:
		case len(other.text)+len(c.text) > cap(other.text):
			q.full <- other
		default:
			other.text, other.lines = append(other.text, c.text...), other.lines+c.lines
			q.release(c)
			c = other
		}
	}
	switch {
	case len(q.full) >= maxChunks/2:
		wake(q.filled)
	case !q.waits.Load() && !q.waits.Swap(true):
		wake(q.begun)
	}
}

// drain calls write with all lines that are there. It is for the writer alone.
func (q *messageLines) drain(write func(text []byte, lines int64)) {
	q.waits.Store(false)  // before the look at current: what comes later tells again
	for range maxChunks { // other lines wait, too
		select {
		case c := <-q.full:
			write(c.text, c.lines)
			q.release(c)
			continue
		default:
		}
		break
	}
	if c := q.current.Swap(nil); c != nil {
		write(c.text, c.lines)
		q.release(c)
	}
}

// release keeps an empty chunk for later.
func (q *messageLines) release(c *chunk) {
	c.text, c.lines = c.text[:0], 0
	q.spare <- c // never waits
}

package pack

import (
	"sync/atomic"
	"time"

	"sluice/pipeline"
)

// Limits bounds a pack. Each field is at least 1.
type Limits struct {
	Messages int   // messages in one pack
	Bytes    int64 // bytes of one pack, without the 2 KiB at most that end it
	Message  int64 // bytes of the largest message that may share an object
}

// Fits reports whether a message of size bytes may share an object.
func (l *Limits) Fits(size int64) bool { return size <= l.Message }

// HasRoom reports whether a pack of this many messages and this footprint has room for
// the text of any message that Fits. A pack is full before it holds max_bytes, so that
// its worker does not wait for a message that is small enough.
func (l *Limits) HasRoom(messages int, footprint int64) bool {
	return messages == 0 || messages < l.Messages && footprint+l.Message <= l.Bytes
}

// Footprint returns the most bytes that m takes in a pack: its entry and its line among
// the events, of which a message of a few bytes may have several hundred KiB.
func Footprint(m *pipeline.Message) int64 {
	return 2*blockSize + m.Length() + m.EventBound()
}

// ShouldSend reports whether a pack of messages should be sent now, while busy workers
// have inFlight messages in their requests. An idle store gets any pack at once.
// Alongside other requests a pack needs about twice their mean number of messages: 2m-1
// for a mean of m. A request costs far more than a further small message in it, so a
// small pack alongside a large one slows both (docs/measurements.md, Packs).
func ShouldSend(messages int, busy, inFlight int64) bool {
	return busy == 0 || int64(messages)*busy > 2*(inFlight-busy)
}

// latencyFloor estimates the usual request duration as a slowly rising minimum.
// Outliers, such as a request stuck behind a large upload, must not make the next pack
// wait. Concurrent calls are safe; one of two simultaneous observations may be lost.
type latencyFloor struct{ nanoseconds atomic.Int64 }

const (
	// riseDivisor is the part of the difference by which a slower request raises the
	// floor: one 256th.
	riseDivisor = 256
	// maxFloor bounds the estimate, and so the wait for a fuller pack, on a slow store.
	maxFloor = 20 * time.Millisecond
)

// observe adds the duration of one request.
func (f *latencyFloor) observe(took time.Duration) {
	floor := f.nanoseconds.Load()
	if latency := int64(took); floor == 0 || latency < floor {
		f.nanoseconds.Store(latency)
	} else {
		f.nanoseconds.Store(floor + (latency-floor)/riseDivisor)
	}
}

// estimate returns the usual duration, at most maxFloor. It is 0 before the first
// request.
func (f *latencyFloor) estimate() time.Duration {
	return min(time.Duration(f.nanoseconds.Load()), maxFloor)
}

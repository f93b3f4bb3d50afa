package pack

import (
	"sync/atomic"
	"time"
)

// Limits bounds a pack. Each field is at least 1.
type Limits struct {
	Messages int   // messages in one pack
	Bytes    int64 // bytes of the messages in one pack, trace fields included
	Message  int64 // bytes of the largest message that may share an object
}

// Fits reports whether a message of size bytes may share an object.
func (l *Limits) Fits(size int64) bool { return size <= l.Message }

// HasRoom reports whether a pack of this many messages and bytes can take any message
// that Fits. The test does not depend on the next message, so a worker never takes one
// from the queue that its pack cannot hold. Such a message would wait for another pack
// even while a worker is idle.
func (l *Limits) HasRoom(messages int, size int64) bool {
	return messages == 0 || messages < l.Messages && size+l.Message <= l.Bytes
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

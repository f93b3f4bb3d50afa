// Package pipeline takes a message from its envelope to the moment when it is durable. It
// has the message, the memory that it may hold, the ports to the object store and the
// event log, and the order in which they are used. It is deterministic. The adapters,
// which are not, stand in its folders and do not import each other.
package pipeline

import (
	"errors"
	"time"
)

// ObjectStore keeps message bytes. Adapters: pipeline/dir, pipeline/s3, pipeline/discard.
//
// Put begins to store one message and returns at once: it never blocks, because it is
// called on event loops. The result comes exactly once, by m.Stored, from any goroutine,
// possibly before Put returns. A nil error means that the bytes are durable and can be
// read at the blob that comes with it. The result comes within the adapter's own request
// deadline.
//
// The object holds m.Header followed by m.Body. Its key is m.Key(), or that of a pack
// which holds other messages too (pipeline/pack). From Put until m.Stored the adapter may
// read all fields of which m's event is made, and nobody writes them. After m.Stored it
// must not touch m at all. A Put cannot be cancelled: a sender that is gone leaves an
// object without an event.
type ObjectStore interface {
	Put(m *Message)
}

// PartStore is an ObjectStore that takes a large message in parts while it is still
// arriving. The first part is held back and goes last, with Put, so that the trace fields
// can be written on top once the whole message was read. Adapter: pipeline/s3.
type PartStore interface {
	ObjectStore
	// PartSize returns the size in bytes of each part but the last.
	PartSize() int64
	// PutPart begins to upload a part and returns at once. It never blocks, because it is
	// called on event loops. The result comes exactly once, by p.Uploaded, from any
	// goroutine. The adapter begins the upload with the message's first PutPart and keeps
	// its state in p.Message.Parts.Upload, which it sets before PutPart returns. From then
	// on p.Message.Body is the first part, complete and unchanged. It may be read until the
	// result of p, or of another part in flight, and p.Body until p.Uploaded. The digest
	// covers the first part, then parts 2, 3 … in the order of their PutPart.
	//
	// Put of a message with an Upload uploads Header and Body as the first part and
	// completes the upload. It is called once all parts have had their results without an
	// error. A Put that fails leaves nothing pending.
	PutPart(p *Part)
	// Abort ends an upload that will not be completed, in the background: no object and no
	// pending upload stays. It is called instead of Put, when no part is in flight.
	Abort(upload any)
}

// EventLog announces messages. Adapters: pipeline/kafka, pipeline/discard.
//
// Publish begins to publish the event of one message and returns at once: it never
// blocks, because it is called on event loops. The result comes exactly once, by
// m.Published, from any goroutine, possibly before Publish returns. A nil error means
// that the log has acknowledged the event as durable, at the position that comes with it
// if the log has positions. The adapter need not keep a
// deadline: the pipeline has its own. A later result is counted as late, and its event is
// an expected duplicate: the sender was told to send the message again.
//
// Until m.Published the adapter may read all of m except m.Body, which has been released.
// After m.Published it must not touch m at all.
type EventLog interface {
	Publish(m *Message)
}

// BoundedLog is an EventLog that knows the largest event that it can take. Adapter:
// pipeline/kafka.
type BoundedLog interface {
	EventLog
	// EventLimit returns the most bytes that the key, the value and the headers of an
	// event may have together, 0 while that is not known. The limit may change at any
	// time. EventLimit never blocks, because it is called on event loops. An event within
	// the limit may still be refused when the limit has just become lower. Publish answers
	// an event above the limit that is known with KindEventTooLarge, as one that the log can
	// never take, and one within it with a failure that may pass.
	EventLimit() int64
}

// Lag is the distance of a consumer group from the end of an event log.
type Lag struct {
	Group string
	// Err is the reason why the lag is not known. It is ErrUnknownGroup for a group that
	// does not exist, or has neither a member nor a commit to the topic. The lag of such
	// a group is unknown, not 0.
	Err     error
	Records int64
	Age     time.Duration // of the oldest unconsumed record; 0 for none
}

// ErrUnknownGroup is the error of a consumer group that does not exist.
var ErrUnknownGroup = errors.New("no such consumer group")

// RemovingStore is an ObjectStore that can remove the object of a message whose event can
// never be published. Adapters: pipeline/dir, pipeline/s3.
type RemovingStore interface {
	ObjectStore
	// Remove begins to remove the object of a key that Put answered without a container,
	// and returns at once: it never blocks, because it is called on event loops. The
	// adapter counts objects that it could not remove. A closed adapter need not try.
	Remove(key string)
}

// Part is a piece of a large message, from the second piece on.
type Part struct {
	Task    // takes the part back to its loop
	Message *Message
	Number  int // from 2, as they stand in the message
	Body    Body
	Credit  int64 // bytes of budget that the body holds
	Err     error // the result
	Piece   Piece // takes its text to the verifier and back
	Readers int8  // the store and the verifier, until each is done with the body
}

// Uploaded takes the result of PutPart and sends the part to its loop. It is called once.
func (p *Part) Uploaded(err error) {
	p.Err = err
	p.Message.Loop.Post(&p.Task)
}

// NextPart begins the message's next part. onResult is called on the message's loop once
// the part has been uploaded.
func (m *Message) NextPart(onResult func(*Part)) {
	m.Parts.Begun++
	p := &Part{Message: m, Number: m.Parts.Begun + 1}
	p.Run = func() { onResult(p) }
	m.Parts.Current = p
}

// Tail returns the body that is being filled, with its credit: the first part's or the
// newest part's.
func (m *Message) Tail() (body *Body, credit *int64) {
	if m.Parts.Current != nil {
		return &m.Parts.Current.Body, &m.Parts.Current.Credit
	}
	return &m.Body, &m.Memory.Credit
}

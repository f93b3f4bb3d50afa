// Package pipeline takes a message from its envelope to the moment when it is
// durable: the message, the memory that it may hold, the ports to the object store
// and the event log, and the order in which they are used. It is deterministic;
// adapters, which are not, stand in its folders and never meet.
package pipeline

// ObjectStore keeps message bytes. Adapters: pipeline/dir, pipeline/discard.
//
// Put begins to store one message and returns at once: it never blocks, it is
// called on event loops. The result comes exactly once, by m.Stored, from any
// goroutine, possibly before Put returns; a nil error says that the bytes are
// durable and can be read at the blob that comes with it. A result comes within
// the adapter's own request deadline.
//
// What is stored is m.Header followed by m.Body, under m.Key() or, together with
// other messages, in a pack (pipeline/pack). From Put until m.Stored the adapter
// may read all that m's event is made of; nobody writes it. After m.Stored it must not touch m at all. A put cannot be
// cancelled: a sender that is gone leaves an object without an event.
type ObjectStore interface {
	Put(m *Message)
}

// PartStore is an ObjectStore that takes a large message in parts while it is
// still arriving. The first part is held back and goes last, with Put, so that
// the trace fields can be written on top when the whole message was seen.
// Adapter: pipeline/s3.
type PartStore interface {
	ObjectStore
	// PartSize gives the octets of each part but the last.
	PartSize() int64
	// PutPart begins to upload a part and returns at once; it never blocks and
	// is called on event loops. The result comes exactly once, by p.Uploaded,
	// from any goroutine. The adapter begins the upload with the message's first
	// PutPart and keeps what it needs in p.Message.Upload, which it sets before
	// PutPart returns. From then on p.Message.Body is the first part, complete
	// and unchanged, and may be read until the result of p or of another part
	// under way; p.Body until p.Uploaded. The digest runs over the first part,
	// then parts 2, 3 … in the order of their PutPart.
	//
	// Put of a message with an Upload uploads Header and Body as the first part and
	// completes. It is called when all parts have had their result without an
	// error; a Put that fails leaves nothing pending.
	PutPart(p *Part)
	// Abort ends an upload that will not be completed, in the background: no
	// object and no pending upload stays. It is called when no part is under way
	// any more, instead of Put.
	Abort(upload any)
}

// EventLog announces messages. Adapters: pipeline/kafka, pipeline/discard.
//
// Publish begins to publish one message's event and returns at once: it never
// blocks, it is called on event loops. The result comes exactly once, by
// m.Published, from any goroutine, possibly before Publish returns; a nil error
// says that the log has acknowledged the event as durable. The adapter need not
// keep a deadline: the pipeline has its own. A result that comes later is counted
// as late, and its message is an expected duplicate.
//
// Until m.Published the adapter may read all of m except m.Body, which is gone
// by then; after it, it must not touch m at all.
type EventLog interface {
	Publish(m *Message)
}

// BoundedLog is an EventLog that knows how large an event it can take. Adapter:
// pipeline/kafka.
type BoundedLog interface {
	EventLog
	// EventLimit returns the most octets that the key, the value and the headers of
	// an event may have together, 0 while that is not known. It may change at any
	// time, never blocks, and is called on event loops. An event within the limit may
	// still be refused, when the limit has just become less; Publish answers an event
	// that the log can never take with KindEventTooLarge.
	EventLimit() int64
}

// RemovingStore is an ObjectStore that can remove the object of one message again,
// because its event can never be published. Adapters: pipeline/dir, pipeline/s3.
type RemovingStore interface {
	ObjectStore
	// Remove begins to remove the object of a key that Put answered without a
	// container, and returns at once: it never blocks and is called on event loops.
	// What could not be removed is counted by the adapter; one that was closed need
	// not try.
	Remove(key string)
}

// Part is a piece of a large message, from the second on.
type Part struct {
	Task    // takes the part home to its loop
	Message *Message
	Number  int // from 2, as they stand in the message
	Body    Body
	Credit  int64 // octets of budget that the body holds
	Err     error // the result
}

// Uploaded takes the one result of PutPart.
func (p *Part) Uploaded(err error) {
	p.Err = err
	p.Message.Loop.Post(&p.Task)
}

// NextPart begins the message's next part.
func (m *Message) NextPart(home func(*Part)) {
	m.Parts++
	p := &Part{Message: m, Number: m.Parts + 1}
	p.Run = func() { home(p) }
	m.Part = p
}

// Tail gives the body that is being filled: the first part's, or the newest's.
func (m *Message) Tail() (body *Body, credit *int64) {
	if m.Part != nil {
		return &m.Part.Body, &m.Part.Credit
	}
	return &m.Body, &m.Credit
}

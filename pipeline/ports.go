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

// Package discard has an object store and an event log that succeed at once and keep
// nothing: every message is lost. They serve to measure the SMTP side alone. They compute
// nothing: no digest, no checksum, no key, no event.
package discard

import "sluice/pipeline"

// Store is an ObjectStore that keeps nothing. The zero value is ready.
type Store struct{}

var _ pipeline.ObjectStore = Store{}

// Put implements pipeline.ObjectStore. The result comes before it returns. The blob has
// the name of the store and the lengths; the key, the checksum and the digest are empty.
func (Store) Put(m *pipeline.Message) {
	m.Stored(pipeline.Blob{
		Store:  "discard",
		Length: m.Length(),
		Added:  int64(len(m.Header)),
	}, pipeline.Digest{}, nil)
}

// Log is an EventLog that keeps nothing. The zero value is ready.
type Log struct{}

var _ pipeline.EventLog = Log{}

// Publish implements pipeline.EventLog. The result comes before it returns.
func (Log) Publish(m *pipeline.Message) { m.Published(pipeline.Position{}, nil) }

// Package discard has an object store and an event log that answer at once with
// success and keep nothing: every message is lost. They exist to measure the SMTP
// side alone. Nothing is computed either: no digest, no checksum, no key, no event.
package discard

import "sluice/pipeline"

// Store is an ObjectStore that keeps nothing. The zero value is ready.
type Store struct{}

var _ pipeline.ObjectStore = Store{}

// Put answers before it returns. The blob has the store's name and the lengths;
// its key and checksum are empty, and so is the digest.
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

// Publish answers before it returns.
func (Log) Publish(m *pipeline.Message) { m.Published(nil) }

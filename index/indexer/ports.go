package indexer

import (
	"context"
	"io"
	"time"

	"sluice/pipeline"
)

// Record is a record of the topic.
type Record = pipeline.Record

// Source is a member of a consumer group.
type Source interface {
	// Poll waits for records and returns at most most of them, in order by partition. It
	// returns none if ctx ends, or after some seconds without any. An error says that no
	// broker can be used.
	Poll(ctx context.Context, most int) ([]Record, error)
	// Commit notes that these records are done, and those before them in their
	// partitions. It ignores partitions that the member does not have any more.
	Commit(ctx context.Context, done []Record) error
	// Newest returns the last record of each partition of the topic, as far as they can be
	// read.
	Newest(ctx context.Context) ([]Record, error)
}

// DeadLetters keeps records that cannot be indexed.
type DeadLetters interface {
	// Put returns once the records are kept, each with the reason of the same index. After
	// an error some of them may be.
	Put(ctx context.Context, records []Record, reasons []string) error
}

// Objects is the object store.
type Objects interface {
	// Open returns length bytes of an object from offset on, or fewer if it ends before.
	// The error is fs.ErrNotExist if there is no such object. Any other says that the
	// store cannot be used, as does an error of a read.
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
}

// Observer is told what happens, for metrics. Its methods are called by several
// goroutines and must not block.
type Observer interface {
	// Events counts events by their result, one of Results.
	Events(result string, n int)
	// Batch says how many rows were inserted at once, and how long that took.
	Batch(rows int, insert time.Duration)
	// Read says how long it took to fetch and to parse messages: the seconds of all
	// workers together.
	Read(messages int, fetch, parse time.Duration)
	// Found says how long after it was received a message could be found.
	Found(after time.Duration)
	// Outage says that one of Dependencies cannot be used, or can again.
	Outage(dependency string, lasts bool)
	// Retained says how many rows retention has deleted, or why it could not.
	Retained(deleted int64, err error)
}

// The results of events. Those of poison say why.
const (
	Indexed   = "indexed"
	Duplicate = "duplicate" // the database had its row
	Expired   = "expired"   // it is older than the retention

	PoisonEvent      = "poison_event"      // the record is no event, or its key is another
	PoisonFuture     = "poison_future"     // its id is of a time to come
	PoisonMissing    = "poison_missing"    // there is no such object
	PoisonShort      = "poison_short"      // the object ends before the message does
	PoisonDigest     = "poison_digest"     // what is stored has another SHA-256
	PoisonUnreadable = "poison_unreadable" // the store fails for this object alone
	PoisonParse      = "poison_parse"      // reading the message ended in a panic
	PoisonRefused    = "poison_refused"    // the database refuses the row alone
)

// Results returns the results of events.
func Results() []string {
	return []string{
		Indexed, Duplicate, Expired, PoisonEvent, PoisonFuture, PoisonMissing, PoisonShort,
		PoisonDigest, PoisonUnreadable, PoisonParse, PoisonRefused,
	}
}

// What an indexer depends on.
const (
	dependsStore       = "store"
	dependsDatabase    = "database"
	dependsBroker      = "broker"
	dependsDeadLetters = "dead_letters"
)

// Dependencies returns what an indexer depends on.
func Dependencies() []string {
	return []string{dependsStore, dependsDatabase, dependsBroker, dependsDeadLetters}
}

// unobserved is an Observer that drops what it is told.
type unobserved struct{}

func (unobserved) Events(string, int)                     {}
func (unobserved) Batch(int, time.Duration)               {}
func (unobserved) Read(int, time.Duration, time.Duration) {}
func (unobserved) Found(time.Duration)                    {}
func (unobserved) Outage(string, bool)                    {}
func (unobserved) Retained(int64, error)                  {}

// Package indexer fills the index: it reads events from a topic and their messages from
// the object store, and makes the rows by which they are found.
package indexer

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"sluice/index"
	"sluice/internal/panics"
)

// Options configures an Indexer.
type Options struct {
	Source      Source
	DeadLetters DeadLetters
	Objects     Objects
	Store       index.Store
	// Batch is the most rows that are inserted at once. The default is 500.
	Batch int
	// Workers is the number of messages that are read at a time. The default is
	// GOMAXPROCS.
	Workers int
	// Text is how many bytes of a message's text are indexed.
	Text int
	// Exclude are those of index.Fields that are not kept.
	Exclude []string
	// Retention is how long messages are found. 0 is for ever.
	Retention time.Duration
	// Observer, Logger and Now, the clock, may be nil.
	Observer Observer
	Logger   *slog.Logger
	Now      func() time.Time
}

func (o *Options) defaults() {
	if o.Batch <= 0 {
		o.Batch = 500
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Observer == nil {
		o.Observer = unobserved{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Indexer is a member of a consumer group that fills an index.
//
// An event is committed once the database has its row, or the dead letters have its
// record: what cannot be indexed, and never will be, is kept there with the reason. A
// dependency that cannot be used is waited for. Whether an object is missing, or cannot be
// read, for good is known only while the store has others: see storeWorks.
type Indexer struct {
	options Options
	offsets *offsets
	poisons poisonLog

	store, database, broker, deadLetters outage

	gathering
}

// New returns an Indexer that does not run yet.
func New(o Options) *Indexer {
	o.defaults()
	x := &Indexer{
		options: o, offsets: newOffsets(),
		poisons: poisonLog{logger: o.Logger, now: o.Now, lines: map[string]*poisonLines{}},
	}
	for dependency, at := range map[string]*outage{
		dependsStore: &x.store, dependsDatabase: &x.database,
		dependsBroker: &x.broker, dependsDeadLetters: &x.deadLetters,
	} {
		at.x, at.dependency = x, dependency
	}
	return x
}

// Run indexes until ctx ends, and returns nil then. An error is a fault of the program: it
// may be run again. Run must be called once.
func (x *Indexer) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	batches := make(chan *batch)
	parts := []func(){
		func() { x.gather(ctx, batches) },
		func() { x.settle(ctx, batches) },
		func() { x.retain(ctx) },
	}
	ended := make(chan error)
	for _, part := range parts {
		go func() {
			ended <- panics.Try(panics.Index, func() error { part(); return nil })
		}()
	}
	var fault error
	for range parts {
		if err := <-ended; err != nil && fault == nil {
			fault = fmt.Errorf("index: %w", err)
			stop()
		}
	}
	return fault
}

const (
	retainInterval = time.Hour
	retainAgain    = time.Minute // after a failure
)

// retain deletes what is older than the retention, until ctx ends.
func (x *Indexer) retain(ctx context.Context) {
	if x.options.Retention <= 0 {
		return
	}
	failing := false
	for ctx.Err() == nil {
		var deleted int64
		err := panics.Try(panics.Index, func() (err error) {
			deleted, err = x.options.Store.DeleteBefore(ctx, x.options.Now().Add(-x.options.Retention))
			return err
		})
		if ctx.Err() != nil {
			return
		}
		x.options.Observer.Retained(deleted, err)
		switch {
		case err == nil && deleted > 0:
			x.options.Logger.Info("messages beyond the retention were deleted from the index", "messages", deleted)
		case err != nil && !failing:
			x.options.Logger.Warn("messages beyond the retention could not be deleted from the index", "error", err)
		}
		wait := retainInterval
		if failing = err != nil; failing {
			wait = retainAgain
		}
		sleep(ctx, wait)
	}
}

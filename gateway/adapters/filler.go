package adapters

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"sluice/gateway/config"
	"sluice/index"
	"sluice/index/indexer"
	"sluice/index/postgres"
	"sluice/index/sqlite"
	"sluice/internal/panics"
)

// Filler fills the index that the configuration names, and is the index for searches
// meanwhile.
type Filler struct {
	*Searches
	config   *config.Config
	log      *Log // in this process, or nil
	observer FillerObserver
	logger   *slog.Logger
}

// FillerObserver is told what a Filler does, for metrics.
type FillerObserver interface {
	indexer.Observer
	// Lost says how many events were deleted before they were read.
	Lost(events int64)
}

// NewFiller returns a Filler. log is the event log, if it is in this process.
func NewFiller(c *config.Config, log *Log, observer FillerObserver, logger *slog.Logger) *Filler {
	return &Filler{Searches: &Searches{}, config: c, log: log, observer: observer, logger: logger}
}

// HopelessError is an error that waiting does not mend.
type HopelessError struct{ Err error }

// Error implements error.
func (e *HopelessError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *HopelessError) Unwrap() error { return e.Err }

// dependsDatabase is one of indexer.Dependencies.
const dependsDatabase = "database"

// The longest wait between two attempts to open what is away, and the first one.
const (
	leastWait = 200 * time.Millisecond
	mostWait  = 15 * time.Second
)

// Run fills the index until ctx ends, and returns nil then. What cannot be reached is waited
// for. An error is a *HopelessError.
func (f *Filler) Run(ctx context.Context) error {
	objects, err := sourceOf(f.config)
	if err != nil {
		return &HopelessError{err}
	}
	store, err := f.openStore(ctx)
	if err != nil || store == nil {
		return err
	}
	f.use(store)
	defer func() { _ = f.Close() }() // what is committed is committed
	for wait := leastWait; ctx.Err() == nil; wait = min(2*wait, mostWait) {
		err := panics.Try(panics.Index, func() error { return f.fill(ctx, objects, store) })
		if err != nil && ctx.Err() == nil {
			f.logger.Error("the index is filled anew", "err", err)
			pause(ctx, wait)
		}
	}
	return nil
}

// openStore opens the database. It returns nil if ctx ends before.
func (f *Filler) openStore(ctx context.Context) (index.Store, error) {
	began, failed := time.Now(), 0
	for wait := leastWait; ctx.Err() == nil; wait = min(2*wait, mostWait) {
		store, err := openIndex(ctx, f.config)
		switch {
		case err == nil:
			if failed > 0 {
				f.observer.Outage(dependsDatabase, false)
				f.logger.Info("the database of the index can be used", "failed_attempts", failed, "seconds", time.Since(began).Seconds())
			}
			return store, nil
		case isHopeless(err):
			return nil, &HopelessError{err}
		case ctx.Err() != nil:
			return nil, nil
		case failed == 0:
			f.observer.Outage(dependsDatabase, true)
			f.logger.Error("the database of the index cannot be used: it is waited for", "err", err)
		}
		failed++
		pause(ctx, wait)
	}
	return nil, nil
}

// isHopeless reports whether waiting does not mend an error of a database.
func isHopeless(err error) bool {
	return errors.As(err, new(*postgres.CredentialsError)) || errors.As(err, new(*postgres.NewerError)) || errors.As(err, new(*sqlite.NewerError))
}

// fill joins the consumer group and fills the index until ctx ends.
func (f *Filler) fill(ctx context.Context, objects source, store index.Store) error {
	consumer, letters, err := openConsumer(f.config, f.log, f.observer.Lost, f.logger)
	if err != nil {
		return err
	}
	defer func() { _ = consumer.Close() }() // what is committed is committed
	defer letters.Close()
	at := &f.config.Index
	return indexer.New(indexer.Options{
		Source: consumer, DeadLetters: letters, Objects: objects, Store: store,
		Batch: at.Batch, Workers: at.Workers, Text: at.TextBytes(), Exclude: at.Excludes(), Retention: at.Retention,
		Observer: f.observer, Logger: f.logger,
	}).Run(ctx)
}

// pause waits for about a time, or until ctx ends.
func pause(ctx context.Context, about time.Duration) {
	timer := time.NewTimer(about/2 + rand.N(about))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// IndexResults returns the results of events that the index is done with.
func IndexResults() []string { return indexer.Results() }

// IndexDependencies returns what filling the index depends on.
func IndexDependencies() []string { return indexer.Dependencies() }

// openIndex opens the index that c names for who fills it.
func openIndex(ctx context.Context, c *config.Config) (index.Store, error) {
	d, ok := databases[c.Index.Store]
	if !ok {
		return nil, fmt.Errorf("index.store is %s: there is no index", c.Index.Store)
	}
	return d.open(ctx, c)
}

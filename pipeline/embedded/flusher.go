package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/panics"
)

// flusher makes acknowledged events durable. kfake answers once an event is written; with
// its own SyncWrites it drops the errors of fsync. So one goroutine here takes all events
// that wait, fsyncs what has grown once for all of them, and then gives the results.
//
// After a failed fsync Linux may call the lost pages clean, and the next fsync succeeds.
// So the first failure is the result of every later event, until a restart. A process that
// has no descriptor to look at its files has not failed: these events alone have that
// result.
type flusher struct {
	events  []*partitions // by topic
	state   *folder       // what the broker keeps about topics and groups
	limit   int           // of events that wait
	logger  *slog.Logger
	failure atomic.Pointer[failure]
	behind  bool // a partition is newer than the state that is durable

	mu      sync.Mutex
	waiting []func(error)

	wake chan struct{}
	stop chan struct{}
	done sync.WaitGroup
}

// failure is why the log takes no more events.
type failure struct{ err error }

func (f *failure) Error() string {
	return fmt.Sprintf("embedded kafka: %v; nothing is acknowledged until a restart", f.err)
}

func (f *failure) Unwrap() error { return f.err }

var errManyWaiting = errors.New("embedded kafka: too many events wait for an fsync")

// flushInterval is the longest time between two flushes. It bounds how long state stays
// in memory, and how long a removed folder stays unseen when no events come.
const flushInterval = time.Second

// start makes durable what was written so far, and begins to serve.
func (f *flusher) start() error {
	if err := f.flush(true); err != nil {
		return err
	}
	f.wake, f.stop = make(chan struct{}, 1), make(chan struct{})
	f.done.Go(func() { panics.Keep(panics.Embedded, f.run) })
	return nil
}

// confirm calls done once all that has been acknowledged until now is durable, or with
// the reason why it is not. It never blocks.
func (f *flusher) confirm(done func(error)) {
	f.mu.Lock()
	full := len(f.waiting) >= f.limit
	if !full {
		f.waiting = append(f.waiting, done)
	}
	f.mu.Unlock()
	if full {
		done(errManyWaiting)
		return
	}
	select {
	case f.wake <- struct{}{}:
	default: // run was woken and has not yet taken the events
	}
}

// usable returns why no event can become durable any more, or nil.
func (f *flusher) usable() error {
	if failed := f.failure.Load(); failed != nil {
		return failed
	}
	return nil
}

func (f *flusher) run() {
	ticker := time.NewTicker(flushInterval)
	defer ticker.Stop()
	var group []func(error)
	for open := true; open; {
		tick := false
		select {
		case <-f.wake:
		case <-ticker.C:
			tick = true
		case <-f.stop:
			open = false
		}
		f.mu.Lock()
		group, f.waiting = f.waiting, group[:0]
		f.mu.Unlock()
		err := f.usable()
		if err == nil {
			err = f.flush(tick || !open)
		}
		for i, done := range group {
			// A panic is of one event. The others have their results.
			_ = panics.Try(panics.Embedded, func() error { done(err); return nil })
			group[i] = nil
		}
	}
}

// flush fsyncs the events that were written since the last flush, and the broker's state
// if that is asked for, or if it tells of a new partition. A failure is for good, but for
// a shortage: then the next flush does what this one could not.
func (f *flusher) flush(state bool) error {
	err := panics.Try(panics.Embedded, func() error {
		for _, topic := range f.events {
			fresh, err := topic.sync()
			if err != nil {
				return err
			}
			f.behind = f.behind || fresh
		}
		if !state && !f.behind {
			return nil
		}
		err := f.state.sync()
		f.behind = f.behind && err != nil
		return err
	})
	if err == nil {
		return nil
	}
	if shortage(err) {
		return fmt.Errorf("embedded kafka: %w", err)
	}
	failed := &failure{err}
	f.failure.Store(failed)
	f.logger.Error("the event log has failed: no mail is accepted until a restart", "error", err)
	return failed
}

// end stops serving. What waits gets its result.
func (f *flusher) end() {
	if f.stop != nil {
		close(f.stop)
		f.done.Wait()
	}
}

// close flushes what the broker wrote at its end. A failure is in the log.
func (f *flusher) close() {
	if f.usable() == nil {
		_ = f.flush(true)
	}
	for _, topic := range f.events {
		topic.close()
	}
	f.state.close()
}

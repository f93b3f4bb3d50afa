package indexer

import (
	"context"
	"fmt"
	"time"

	"sluice/internal/panics"
	"sluice/pipeline"
)

// patience is how often and how long a failure is tried again before it is for good.
type patience struct {
	attempts int
	time     time.Duration
	result   string
	// proofs is how often in a row it must have failed while the store had another
	// message. The attempt before may have been of a time when the store had none.
	proofs int
}

var patiences = map[failure]patience{
	missing:    {5, 10 * time.Second, PoisonMissing, 2},
	short:      {4, 2 * time.Second, PoisonShort, 2},
	mismatched: {4, 2 * time.Second, PoisonDigest, 2},
	failed:     {10, 10 * time.Minute, PoisonUnreadable, 5},
}

// oldEvent is the age from which on a missing object will not come any more: it is asked
// for again only because the store may have erred.
const (
	oldEvent    = 10 * time.Minute
	oldPatience = 2 * time.Second
)

// judge decides what follows for the messages that were tried.
func (x *Indexer) judge(ctx context.Context, all []*run, tried []int) {
	now := x.options.Now()
	var failing []*item
	read := false
	for n, r := range all {
		for _, i := range r.items[:tried[n]] {
			switch {
			case !i.settled():
				failing = append(failing, i)
			case i.row != nil:
				read, x.lastEvent = true, i.event
			}
		}
	}
	if read {
		x.trust()
	}
	var down error
	for _, i := range failing {
		i.again = now.Add(backoff(i.attempts))
		if i.failure == failed && x.lastRead.Before(i.since) {
			down = i.err
		}
		p := i.patience(now)
		if i.attempts < p.attempts || now.Sub(i.since) < p.time {
			continue
		}
		switch works := x.storeWorks(ctx, i); {
		case works && i.proofs+1 >= p.proofs:
			i.poison(p.result, i.err)
		case works:
			i.proofs++
		default:
			i.proofs = 0
			switch i.failure {
			case missing:
				down = fmt.Errorf("it has none of the messages: is it the right one? %w", i.err)
			case short, mismatched:
				down = fmt.Errorf("it has no message as that was received: does something else answer in its place? %w", i.err)
			}
		}
	}
	if down != nil && x.lastRead.Before(now) { // nothing was read meanwhile
		x.store.begin(reading, down)
		x.doubt, x.pause = true, now.Add(backoff(x.fails))
		x.fails++
	}
}

// trust notes that the store works.
func (x *Indexer) trust() {
	x.lastRead = x.options.Now()
	x.doubt, x.pause, x.fails = false, time.Time{}, 0
	x.store.end(reading)
}

// patience returns how much of it the failure of a message is worth.
func (i *item) patience(now time.Time) patience {
	p := patiences[i.failure]
	if i.failure == missing && now.Sub(i.event.ID.Time()) > oldEvent {
		p.attempts, p.time = 3, oldPatience
	}
	return p
}

// probeInterval is the least time between two questions whether the store works.
const probeInterval = 5 * time.Second

// storeWorks reports whether the store has had another message since this one failed: one
// of those that are being read, the last one that was, or the newest of the topic. A store
// without any is the wrong one, or was emptied as a whole. Then its missing objects are no
// poison: the first new message that is found decides.
func (x *Indexer) storeWorks(ctx context.Context, i *item) bool {
	now, since := x.options.Now(), i.since
	if i.failure == failed {
		since = now.Add(-maxBackoff) // it may have come back and gone since then
	}
	if !x.lastRead.Before(since) {
		return true
	}
	if now.Sub(x.lastProbe) < probeInterval {
		return false
	}
	x.lastProbe = now
	works := x.has(ctx, x.lastEvent) || x.newest(ctx)
	if works {
		x.trust()
	}
	return works
}

// newest reports whether the store has one of the newest messages of the topic.
func (x *Indexer) newest(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, stallTimeout)
	defer cancel()
	records, err := x.options.Source.Newest(ctx)
	if err != nil {
		return false
	}
	for _, r := range records {
		i := &item{record: r}
		if x.examine(i); i.result == "" && x.has(ctx, i.event) {
			x.lastEvent = i.event
			return true
		}
	}
	return false
}

// has reports whether the store has a message, and gives all of it.
func (x *Indexer) has(ctx context.Context, e *pipeline.Event) bool {
	if e == nil {
		return false
	}
	i := &item{event: e}
	_ = panics.Try(panics.Index, func() error { x.read(ctx, runs([]*item{i})[0]); return nil })
	return i.row != nil
}

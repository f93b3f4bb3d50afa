package indexer

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/panics"
	"sluice/pipeline"
)

// gathering is what gather knows.
type gathering struct {
	pending []*item
	doubt   bool      // the store cannot be used, or has nothing: it is asked for one message at a time
	pause   time.Time // until when it is left alone
	fails   int       // how often in a row it could not be used

	lastRead  time.Time       // when the store last had a message
	lastEvent *pipeline.Event // of that message
	lastProbe time.Time
}

const (
	// A round begins no request after roundTime, and takes at most roundBytes of
	// messages, so that what was read is soon found.
	roundTime  = time.Second
	roundBytes = 64 << 20
	// kept is the number of batches that may be in memory before they are inserted, and
	// ahead the number of those that may be done without being committed, because an
	// event before them is not.
	kept  = 2
	ahead = 20
)

// batch is records that are settled.
type batch struct {
	rows, poison, expired []*item
}

// gather reads records and their messages, until ctx ends. A message that cannot be read
// is tried again beside those that come after it.
func (x *Indexer) gather(ctx context.Context, batches chan<- *batch) {
	for ctx.Err() == nil {
		due, again := x.due(x.options.Now())
		if len(due) == 0 {
			x.poll(ctx, again)
			continue
		}
		b := x.round(ctx, due)
		if len(b.rows)+len(b.poison)+len(b.expired) == 0 {
			continue
		}
		select {
		case batches <- b:
		case <-ctx.Done():
		}
	}
}

// due returns the items whose turn it is, and, if there are none, when that of the next
// is: the zero time for none.
func (x *Indexer) due(now time.Time) (due []*item, again time.Time) {
	var octets int64
	for _, i := range x.pending {
		at := i.again
		if !i.settled() && x.pause.After(at) {
			at = x.pause
		}
		if at.After(now) {
			if again.IsZero() || at.Before(again) {
				again = at
			}
			continue
		}
		if !i.settled() {
			if x.doubt && octets > 0 {
				continue
			}
			octets += i.event.Blob.Length
		}
		if len(due) > 0 && (octets > roundBytes || octets < 0 || len(due) == x.options.Batch) {
			break
		}
		due = append(due, i)
	}
	return due, again
}

// poll waits for records, or until a time unless that is zero.
func (x *Indexer) poll(ctx context.Context, until time.Time) {
	if !until.IsZero() {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, until.Sub(x.options.Now()))
		defer cancel()
	}
	switch {
	case len(x.pending) >= kept*x.options.Batch: // and the turn of one comes
		sleep(ctx, maxBackoff)
		return
	case x.offsets.waiting() >= ahead*x.options.Batch:
		sleep(ctx, 100*time.Millisecond)
		return
	}
	records, err := x.options.Source.Poll(ctx, x.options.Batch)
	if err != nil {
		if ctx.Err() == nil {
			x.broker.begin(err)
			sleep(ctx, backoff(3))
		}
		return
	}
	x.broker.end()
	fresh := make([]*item, len(records))
	for n := range records {
		fresh[n] = &item{record: records[n], offset: x.offsets.add(&records[n])}
	}
	x.parallel(len(fresh), func(n int) { x.examine(fresh[n]) })
	x.pending = append(x.pending, fresh...)
}

// parallel calls do with each number below n, by all workers.
func (x *Indexer) parallel(n int, do func(int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(n, x.options.Workers) {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				_ = panics.Try(panics.Index, func() error { do(i); return nil })
			}
		})
	}
	group.Wait()
}

// round reads the messages of items and takes those that are settled from what is pending.
func (x *Indexer) round(ctx context.Context, due []*item) *batch {
	began := x.options.Now()
	var toRead []*item
	for _, i := range due {
		if !i.settled() {
			toRead = append(toRead, i)
		}
	}
	all := runs(toRead)
	tried := make([]int, len(all))
	var down atomic.Bool
	x.parallel(len(all), func(n int) {
		if down.Load() || ctx.Err() != nil || n > 0 && x.options.Now().Sub(began) > roundTime {
			return
		}
		err := panics.Try(panics.Index, func() error { tried[n] = x.read(ctx, all[n]); return nil })
		if err != nil {
			tried[n] = all[n].broken(err, x.options.Now())
		}
		if last := all[n].items[max(0, tried[n]-1)]; !last.settled() && last.failure == failed {
			down.Store(true)
		}
	})
	if ctx.Err() == nil {
		x.judge(ctx, all, tried)
	}
	return x.take(due)
}

// take returns the settled ones of items, and leaves the others pending.
func (x *Indexer) take(items []*item) *batch {
	b := &batch{}
	for _, i := range items {
		i.taken = i.settled()
		switch {
		case i.row != nil:
			b.rows = append(b.rows, i)
		case i.result == Expired:
			b.expired = append(b.expired, i)
		case i.result != "":
			b.poison = append(b.poison, i)
		}
	}
	left := x.pending[:0]
	for _, i := range x.pending {
		if !i.taken {
			left = append(left, i)
		}
	}
	clear(x.pending[len(left):])
	x.pending = left
	return b
}

// patience is how often and how long a failure is tried again before it is for good.
type patience struct {
	attempts int
	time     time.Duration
	result   string
	// others is whether it is known only while the store has other messages.
	others bool
}

var patiences = map[failure]patience{
	missing:    {5, 10 * time.Second, PoisonMissing, true},
	short:      {4, 2 * time.Second, PoisonShort, false},
	mismatched: {4, 2 * time.Second, PoisonDigest, false},
	failed:     {10, 10 * time.Minute, PoisonUnreadable, true},
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
		switch p := i.patience(now); {
		case i.attempts < p.attempts || now.Sub(i.since) < p.time:
		case !p.others || x.storeWorks(ctx, i):
			i.poison(p.result, i.err)
		case i.failure == missing:
			down = fmt.Errorf("it has none of the messages: is it the right one? %w", i.err)
		}
	}
	if down != nil {
		x.store.begin(down)
		x.doubt, x.pause = true, now.Add(backoff(x.fails))
		x.fails++
	}
}

// trust notes that the store works.
func (x *Indexer) trust() {
	x.lastRead = x.options.Now()
	x.doubt, x.pause, x.fails = false, time.Time{}, 0
	x.store.end()
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

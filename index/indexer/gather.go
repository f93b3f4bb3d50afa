package indexer

import (
	"context"
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
	ahead = 200
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
			x.broker.begin(reading, err)
			sleep(ctx, backoff(3))
		}
		return
	}
	x.broker.end(reading)
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

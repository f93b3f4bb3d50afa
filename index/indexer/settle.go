package indexer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/index"
	"sluice/internal/panics"
)

// settle inserts rows, keeps what is poison among the dead letters, and commits, batch by
// batch until ctx ends.
func (x *Indexer) settle(ctx context.Context, batches <-chan *batch) {
	for {
		select {
		case b := <-batches:
			x.settleBatch(ctx, b)
		case <-ctx.Done():
			return
		}
	}
}

func (x *Indexer) settleBatch(ctx context.Context, b *batch) {
	poison := b.poison
	for rows := b.rows; len(rows) > 0; {
		var unique []*item
		unique, rows = distinct(rows)
		refused, ok := x.insert(ctx, unique)
		if !ok {
			return
		}
		poison = append(poison, refused...)
	}
	for some := range slices.Chunk(poison, maxLetters) {
		if !x.bury(ctx, some) {
			return
		}
	}
	if len(b.expired) > 0 {
		x.options.Observer.Events(Expired, len(b.expired))
	}
	x.commit(ctx, slices.Concat(b.rows, b.poison, b.expired))
}

// maxLetters bounds the records that are put among the dead letters at once.
const maxLetters = 100

// bury puts poison among the dead letters, and reports whether that was done before ctx
// ended.
func (x *Indexer) bury(ctx context.Context, poison []*item) bool {
	records, reasons := make([]Record, len(poison)), make([]string, len(poison))
	for n, i := range poison {
		records[n], reasons[n] = i.record, i.result+": "+i.reason
	}
	put := func() error {
		return panics.Try(panics.Index, func() error { return x.options.DeadLetters.Put(ctx, records, reasons) })
	}
	if !x.deadLetters.insist(ctx, put) {
		return false
	}
	for _, i := range poison {
		x.options.Observer.Events(i.result, 1)
		x.poisons.add(i)
	}
	return true
}

// distinct returns the first item with each id, and the others.
func distinct(items []*item) (unique, again []*item) {
	ids := make(map[[16]byte]bool, len(items))
	for _, i := range items {
		if ids[i.row.ID] {
			again = append(again, i)
			continue
		}
		ids[i.row.ID] = true
		unique = append(unique, i)
	}
	return unique, again
}

// insertTimeout bounds one attempt to insert rows. After it they are tried in halves.
const insertTimeout = time.Minute

// insert inserts the rows of items and returns those that the database refuses alone. It
// reports whether it was done before ctx ended.
func (x *Indexer) insert(ctx context.Context, items []*item) (refused []*item, ok bool) {
	pieces := [][]*item{items} // the next one last
	for attempt := 0; len(pieces) > 0; {
		piece := pieces[len(pieces)-1]
		err := x.insertPiece(ctx, piece)
		late := errors.Is(err, context.DeadlineExceeded)
		switch {
		case err == nil:
			x.database.end(writing)
			pieces, attempt = pieces[:len(pieces)-1], 0
			continue
		case ctx.Err() != nil:
			return nil, false
		case len(piece) > 1 && (late || errors.Is(err, index.ErrRefused)):
			half := len(piece) / 2
			pieces = append(pieces[:len(pieces)-1], piece[half:], piece[:half])
		case errors.Is(err, index.ErrRefused):
			piece[0].poison(PoisonRefused, err)
			refused = append(refused, piece[0])
			pieces = pieces[:len(pieces)-1]
		}
		if !errors.Is(err, index.ErrRefused) {
			x.database.begin(writing, err)
			sleep(ctx, backoff(attempt))
			attempt++
		}
	}
	return refused, true
}

// insertPiece inserts the rows of items at once. A panic counts as a refusal: it would
// come again.
func (x *Indexer) insertPiece(ctx context.Context, items []*item) error {
	rows := make([]*index.Message, len(items))
	for n, i := range items {
		rows[n] = i.row
	}
	ctx, cancel := context.WithTimeout(ctx, insertTimeout)
	defer cancel()
	inserted, returned, began := 0, false, x.options.Now()
	err := panics.Try(panics.Index, func() (err error) {
		inserted, err = x.options.Store.Insert(ctx, rows)
		returned = true
		return err
	})
	if !returned {
		return fmt.Errorf("%w: %w", index.ErrRefused, err)
	}
	if err != nil {
		return err
	}
	now := x.options.Now()
	x.options.Observer.Batch(len(rows), now.Sub(began))
	x.options.Observer.Events(Indexed, inserted)
	if duplicates := len(rows) - inserted; duplicates > 0 {
		x.options.Observer.Events(Duplicate, duplicates)
		return nil // which ones is not known, and so not how long the others took
	}
	for _, r := range rows {
		x.options.Observer.Found(now.Sub(r.ReceivedAt))
	}
	return nil
}

// commit notes that items are done.
func (x *Indexer) commit(ctx context.Context, items []*item) {
	heads := x.offsets.done(items)
	if len(heads) > 0 {
		x.broker.insist(ctx, func() error {
			return panics.Try(panics.Index, func() error { return x.options.Source.Commit(ctx, heads) })
		})
	}
}

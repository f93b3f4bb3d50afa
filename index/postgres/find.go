package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"sluice/index"
	"sluice/pipeline"
)

// Get implements index.Store.
func (s *Store) Get(ctx context.Context, id pipeline.ID) (m *index.Message, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		return s.transact(ctx, reading, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, selectMessages+" where id = $1", uuid(id))
			if err != nil {
				return err
			}
			m, err = pgx.CollectExactlyOneRow(rows, scan)
			if errors.Is(err, pgx.ErrNoRows) {
				return index.ErrNotFound
			}
			return err
		})
	})
	return m, asked(err)
}

// Find implements index.Store.
func (s *Store) Find(ctx context.Context, q *index.Query) (page index.Page, err error) {
	var span span
	span.from, span.to = q.IDRange()
	if q.Cursor != "" {
		before, err := pipeline.ParseID(q.Cursor)
		if err != nil {
			return index.Page{}, fmt.Errorf("%w: %w", index.ErrCursor, err)
		}
		if bytes.Compare(before[:], span.to[:]) < 0 {
			span.to = before
		}
	}
	err = s.call(ctx, func(ctx context.Context) error {
		return s.transact(ctx, reading, func(tx pgx.Tx) error {
			ids, err := search(ctx, tx, q, span)
			if err != nil || len(ids) == 0 {
				return err
			}
			if len(ids) > q.Limit {
				ids = ids[:q.Limit]
				page.Cursor = pipeline.ID(ids[q.Limit-1].Bytes).String()
			}
			const chosen = " where id = any($1) and id between $2 and $3 order by id desc"
			rows, err := tx.Query(ctx, selectMessages+chosen, ids, ids[len(ids)-1], ids[0])
			if err != nil {
				return err
			}
			page.Messages, err = pgx.CollectRows(rows, scan)
			return err
		})
	})
	if err != nil {
		return index.Page{}, asked(err)
	}
	return page, nil
}

// search returns the ids of a page and one more, the latest first.
//
// It looks at the days from the latest on, at each step at as many as before. So what most
// messages have is found in the first days without sorting those of all days, and what
// none has takes few statements.
func search(ctx context.Context, tx pgx.Tx, q *index.Query, whole span) (ids []pgtype.UUID, err error) {
	have, err := daysOf(ctx, tx)
	if err != nil {
		return nil, err
	}
	for len(have) > 0 && have[0] > dayOf(whole.to.Time()) {
		have = have[1:]
	}
	for looked, step := 0, 1; looked < len(have); looked, step = looked+step, looked+step {
		last := have[min(looked+step, len(have))-1] // of this step
		part := whole.between(last, have[looked])
		query, arguments := statement(q, part, q.Limit+1-len(ids))
		rows, err := tx.Query(ctx, query, arguments...)
		if err != nil {
			return nil, err
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[pgtype.UUID])
		if err != nil {
			return nil, err
		}
		ids = append(ids, found...)
		if len(ids) > q.Limit || last < dayOf(whole.from.Time()) {
			break
		}
	}
	return ids, nil
}

// span is the ids from one on and below another.
type span struct{ from, to pipeline.ID }

// between returns what s has of the days from first to last.
func (s span) between(first, last day) span {
	if low := first.first(); bytes.Compare(low[:], s.from[:]) > 0 {
		s.from = low
	}
	if high := (last + 1).first(); last < lastDay && bytes.Compare(high[:], s.to[:]) < 0 {
		s.to = high
	}
	return s
}

// statement returns the statement for the last ids of a span that q wants.
func statement(q *index.Query, part span, limit int) (query string, arguments []any) {
	var b strings.Builder
	b.WriteString("select id from ")
	if len(q.Terms) > 0 || q.Client.IsValid() {
		b.WriteString("message_terms")
	} else {
		b.WriteString("messages")
	}
	where := " where "
	and := func(condition string, argument any) {
		arguments = append(arguments, argument)
		fmt.Fprintf(&b, "%s%s$%d", where, condition, len(arguments))
		where = " and "
	}
	and("id >= ", uuid(part.from))
	and("id < ", uuid(part.to))
	if len(q.Terms) > 0 {
		and("terms @> ", hashes(q.Terms))
	}
	if q.Client.IsValid() {
		and("client <<= ", q.Client)
	}
	if !q.Since.IsZero() {
		and("received_at >= ", ceil(q.Since))
	}
	if !q.Until.IsZero() {
		and("received_at < ", ceil(q.Until))
	}
	fmt.Fprintf(&b, " order by id desc limit %d", limit)
	return b.String(), arguments
}

// ceil returns the first microsecond, which is all that the database tells apart, that is
// not before t.
func ceil(t time.Time) time.Time { return t.Add(time.Microsecond - 1).Truncate(time.Microsecond) }

func uuid(id pipeline.ID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

// asked returns the error of a question.
func asked(err error) error {
	switch {
	case err == nil || errors.Is(err, index.ErrNotFound):
		return err
	case code(err) == noTable:
		return fmt.Errorf("postgres: %w: %w", errNotPrepared, err)
	}
	return fmt.Errorf("postgres: %w", known(err))
}

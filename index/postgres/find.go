package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
			ids, err := s.search(ctx, tx, q, span)
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
// What many messages have is found among the newest, without sorting all that have it. Then
// it looks at the days from the latest on, at each step at as many as before: what is
// frequent is found in few of them, and what none has takes few statements.
func (s *Store) search(ctx context.Context, tx pgx.Tx, q *index.Query, whole span) (ids []pgtype.UUID, err error) {
	wanted, arguments := conditions(q)
	query := "select id from messages where " + within + wanted + " order by id desc"
	if len(q.Terms) > 0 || q.Client.IsValid() {
		last := fmt.Sprintf("select id from messages where %s order by id desc offset %d limit 1", within, s.newest-1)
		bound, err := whole.ids(ctx, tx, last, nil)
		if err != nil {
			return nil, err
		}
		part := whole
		if len(bound) > 0 {
			part.from = bound[0].Bytes
		}
		// OFFSET 0 keeps the conditions outside, where no index of theirs is used.
		oneByOne := fmt.Sprintf("select id from (select * from message_terms where %s offset 0) newest where true%s order by id desc limit %d",
			recent, wanted, q.Limit+1)
		ids, err = part.ids(ctx, tx, oneByOne, arguments)
		if err != nil || len(ids) > q.Limit || len(bound) == 0 {
			return ids, err
		}
		whole.to = part.from
		query = "select id from message_terms where " + within + wanted + " order by id desc"
	}
	have, err := daysOf(ctx, tx)
	if err != nil {
		return nil, err
	}
	for len(have) > 0 && have[0] > dayOf(whole.to.Time()) {
		have = have[1:]
	}
	for looked, step := 0, 1; looked < len(have); looked, step = looked+step, looked+step {
		last := have[min(looked+step, len(have))-1] // of this step
		limited := fmt.Sprintf("%s limit %d", query, q.Limit+1-len(ids))
		more, err := whole.between(last, have[looked]).ids(ctx, tx, limited, arguments)
		if err != nil {
			return nil, err
		}
		ids = append(ids, more...)
		if len(ids) > q.Limit || last < dayOf(whole.from.Time()) {
			break
		}
	}
	return ids, nil
}

// span is the ids from one on and below another.
type span struct{ from, to pipeline.ID }

// between returns what it has of the days from first to last.
func (part span) between(first, last day) span {
	if low := first.first(); bytes.Compare(low[:], part.from[:]) > 0 {
		part.from = low
	}
	if high := (last + 1).first(); last < lastDay && bytes.Compare(high[:], part.to[:]) < 0 {
		part.to = high
	}
	return part
}

// ids returns the ids that a query has for a span.
func (part span) ids(ctx context.Context, tx pgx.Tx, query string, arguments []any) ([]pgtype.UUID, error) {
	rows, err := tx.Query(ctx, query, append([]any{uuid(part.from), uuid(part.to)}, arguments...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[pgtype.UUID])
}

// within is the condition that an id is of a span.
const within = "id >= $1 and id < $2"

// recent is within, for the index of message_terms by ids.
const recent = within + " and uuid_send(id) >= uuid_send($1) and uuid_send(id) < uuid_send($2)"

// conditions returns what q wants beside a span, with the arguments from the third on.
func conditions(q *index.Query) (wanted string, arguments []any) {
	and := func(condition string, argument any) {
		arguments = append(arguments, argument)
		wanted += fmt.Sprintf(" and %s $%d", condition, len(arguments)+2)
	}
	if len(q.Terms) > 0 {
		and("terms @>", hashes(q.Terms))
	}
	if q.Client.IsValid() {
		and("client <<=", q.Client)
	}
	if !q.Since.IsZero() {
		and("received_at >=", ceil(q.Since))
	}
	if !q.Until.IsZero() {
		and("received_at <", ceil(q.Until))
	}
	return wanted, arguments
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

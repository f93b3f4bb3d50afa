package postgres

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"sluice/index"
	"sluice/pipeline"
)

// insertTries bounds how often Insert begins again because partitions were dropped, or the
// database made anew.
const insertTries = 5

// errAnew is an error once, so that it is not silent that other messages are found no more.
var errAnew = errors.New("its tables were gone and are made anew: messages that were in them are found again once they are indexed again, by another index.group")

// Insert implements index.Store.
func (s *Store) Insert(ctx context.Context, messages []*index.Message) (inserted int, err error) {
	if len(messages) == 0 {
		return 0, nil
	}
	// By id, so that two that insert the same wait for each other in one direction.
	sorted := slices.Clone(messages)
	slices.SortFunc(sorted, func(a, b *index.Message) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	for tries := 0; tries < insertTries; tries++ {
		inserted, err = s.insert(ctx, sorted)
		switch code(err) {
		case uniqueViolation:
			tries-- // somebody else has inserted one of them since we looked: there is one less to do
		case noPartition:
			s.days.forget()
		case noTable:
			s.days.forget()
			switch err := s.check(ctx); {
			case err == nil: // a partition, or somebody else has made them
			case errors.Is(err, errNotPrepared):
				return 0, fmt.Errorf("postgres: %w", cmp.Or(known(s.migrate(ctx)), errAnew))
			default:
				return 0, fmt.Errorf("postgres: %w", known(err))
			}
		default:
			if err != nil {
				return 0, fmt.Errorf("postgres: insert: %w", refused(err))
			}
			return inserted, nil
		}
	}
	return 0, fmt.Errorf("postgres: insert: %w", err)
}

// insert inserts messages, sorted by their ids, that the database does not have.
func (s *Store) insert(ctx context.Context, sorted []*index.Message) (inserted int, err error) {
	var needed []day
	for _, m := range sorted {
		if d := dayOf(m.ID.Time()); len(needed) == 0 || needed[len(needed)-1] != d {
			needed = append(needed, d)
		}
	}
	if err := s.ensure(ctx, needed); err != nil {
		return 0, err
	}
	err = s.transact(ctx, writing, func(tx pgx.Tx) error {
		lacking, err := lacking(ctx, tx, sorted)
		if err != nil || len(lacking) == 0 {
			return err
		}
		row := func(i int) ([]any, error) { return values(lacking[i]) }
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"messages"}, columns, pgx.CopyFromSlice(len(lacking), row)); err != nil {
			return err
		}
		inserted = len(lacking)
		row = func(i int) ([]any, error) { return termValues(lacking[i]), nil }
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"message_terms"}, termColumns, pgx.CopyFromSlice(len(lacking), row))
		return err
	})
	if err != nil {
		return 0, err
	}
	return inserted, nil
}

// lacking returns those of sorted messages that the database does not have.
func lacking(ctx context.Context, tx pgx.Tx, sorted []*index.Message) ([]*index.Message, error) {
	ids := make([]pgtype.UUID, len(sorted))
	for i, m := range sorted {
		ids[i] = pgtype.UUID{Bytes: m.ID, Valid: true}
	}
	const query = "select id from messages where id = any($1) and id between $2 and $3"
	rows, err := tx.Query(ctx, query, ids, ids[0], ids[len(ids)-1])
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[[16]byte])
	if err != nil || len(found) == 0 {
		return sorted, err
	}
	has := make(map[pipeline.ID]struct{}, len(found))
	for _, id := range found {
		has[id] = struct{}{}
	}
	return slices.DeleteFunc(slices.Clone(sorted), func(m *index.Message) bool {
		_, ok := has[m.ID]
		return ok
	}), nil
}

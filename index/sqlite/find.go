package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"slices"
	"time"

	"sluice/index"
	"sluice/pipeline"
)

// Get implements index.Store.
func (s *Store) Get(ctx context.Context, id pipeline.ID) (*index.Message, error) {
	db, release, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer release()
	m, err := scan(db.QueryRowContext(ctx, selectRow+"id = ?", id.String()))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, index.ErrNotFound
	}
	if err != nil {
		return nil, s.explain(err)
	}
	return m, nil
}

// Find implements index.Store.
func (s *Store) Find(ctx context.Context, q *index.Query) (index.Page, error) {
	search, err := newSearch(q)
	if err != nil {
		return index.Page{}, err
	}
	db, release, err := s.acquire()
	if err != nil {
		return index.Page{}, err
	}
	defer release()
	page, err := search.run(ctx, db)
	if err != nil {
		return index.Page{}, s.explain(err)
	}
	return page, nil
}

// search is a query as the rows are asked for it.
type search struct {
	*index.Query
	from, to pipeline.ID // not below from, and below to
	match    []byte      // an expression of FTS5, empty for none
}

func newSearch(q *index.Query) (*search, error) {
	s := &search{Query: q}
	s.from, s.to = q.IDRange()
	if q.Cursor != "" {
		last, err := pipeline.ParseID(q.Cursor)
		if err != nil || last.String() != q.Cursor {
			return nil, index.ErrCursor
		}
		if less(last, s.to) {
			s.to = last
		}
	}
	for _, term := range q.Terms {
		s.match = appendWanted(s.match, term)
	}
	s.match = appendWantedClient(s.match, q.Client)
	return s, nil
}

func less(a, b pipeline.ID) bool { return slices.Compare(a[:], b[:]) < 0 }

// hit is a row that was found.
type hit struct {
	seq int64
	id  pipeline.ID
}

func (s *search) run(ctx context.Context, db *sql.DB) (page index.Page, err error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return page, err
	}
	defer func() { _ = tx.Rollback() }()
	hits, err := s.hits(ctx, tx)
	if err != nil {
		return page, err
	}
	if len(hits) > s.Limit {
		hits = hits[:s.Limit]
		page.Cursor = hits[s.Limit-1].id.String()
	}
	row, err := tx.PrepareContext(ctx, selectRow+"seq = ?")
	if err != nil {
		return page, err
	}
	for _, h := range hits {
		m, err := scan(row.QueryRowContext(ctx, h.seq))
		if err != nil {
			return page, err
		}
		page.Messages = append(page.Messages, m)
	}
	return page, nil
}

// hits returns what was found in descending order of the ids: all of it, or more than
// the limit. Keys are not in the order of ids within a millisecond, so it ends between
// two of them.
func (s *search) hits(ctx context.Context, tx *sql.Tx) (hits []hit, err error) {
	rows, err := s.query(ctx, tx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var h hit
		var id, address string
		var receivedAt int64
		if err = rows.Scan(&h.seq, &id, &receivedAt, &address); err == nil {
			h.id, err = pipeline.ParseID(id)
		}
		if err != nil {
			return nil, content(err)
		}
		if n := len(hits); n > s.Limit && h.seq>>seqBits != hits[n-1].seq>>seqBits {
			break
		}
		if s.wants(h.id, receivedAt, address) {
			hits = append(hits, h)
		}
	}
	slices.SortFunc(hits, func(a, b hit) int { return slices.Compare(b.id[:], a.id[:]) })
	return hits, rows.Err()
}

func (s *search) query(ctx context.Context, tx *sql.Tx) (*sql.Rows, error) {
	const fields = "SELECT m.seq, m.id, m.received_at, m.client_address FROM "
	from, to := firstSeq(s.from), lastSeq(s.to)
	if len(s.match) == 0 {
		return tx.QueryContext(ctx, fields+"messages m WHERE m.seq BETWEEN ? AND ? ORDER BY m.seq DESC", from, to)
	}
	return tx.QueryContext(ctx, fields+`terms CROSS JOIN messages m ON m.seq = terms.rowid
		WHERE terms MATCH ? AND terms.rowid BETWEEN ? AND ? ORDER BY terms.rowid DESC`, string(s.match), from, to)
}

// wants reports whether a row is wanted that has the terms.
func (s *search) wants(id pipeline.ID, receivedAt int64, address string) bool {
	if less(id, s.from) || !less(id, s.to) {
		return false
	}
	at := time.UnixMilli(receivedAt)
	if !s.Since.IsZero() && at.Before(s.Since) || !s.Until.IsZero() && !at.Before(s.Until) {
		return false
	}
	if !s.Client.IsValid() {
		return true
	}
	a, err := netip.ParseAddr(address)
	return err == nil && s.Client.Contains(a)
}

package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"sluice/index"
)

// Insert implements index.Store.
func (s *Store) Insert(ctx context.Context, messages []*index.Message) (inserted int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, s.explain(err)
	}
	if len(messages) == 0 {
		return 0, ctx.Err()
	}
	if inserted, err = s.insert(ctx, messages); err != nil {
		return 0, s.explain(err)
	}
	return inserted, nil
}

func (s *Store) insert(ctx context.Context, messages []*index.Message) (inserted int, err error) {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()
	i := inserter{ctx: context.WithoutCancel(ctx), tx: tx}
	if i.row, err = tx.PrepareContext(ctx, insertRow); err != nil {
		return 0, err
	}
	if i.terms, err = tx.PrepareContext(ctx, "INSERT INTO terms (rowid, term) VALUES (?, ?)"); err != nil {
		return 0, err
	}
	for _, m := range messages {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		added, err := i.insert(m)
		if err != nil {
			return 0, fmt.Errorf("message %s: %w", m.ID, err)
		}
		if added {
			inserted++
		}
	}
	return inserted, tx.Commit()
}

// inserter inserts messages in a transaction. A statement that a context can end costs a
// goroutine, so they run to their ends.
type inserter struct {
	ctx        context.Context
	tx         *sql.Tx
	row, terms *sql.Stmt
	fields     []any
	text       []byte
}

// insert inserts a message unless it is there, and reports whether it did.
func (i *inserter) insert(m *index.Message) (bool, error) {
	seq := seqOf(m.ID)
	i.fields = appendFields(append(i.fields[:0], seq), m)
	added, err := i.insertRow()
	if err == nil && !added {
		added, seq, err = i.insertElsewhere(m)
	}
	if err != nil || !added {
		return false, err
	}
	i.text = i.text[:0]
	for n, term := range m.Terms {
		if n > 0 {
			i.text = append(i.text, ' ')
		}
		i.text = appendTerm(i.text, term)
	}
	i.text = appendClient(i.text, m.Client.Address)
	_, err = i.terms.ExecContext(i.ctx, seq, string(i.text))
	return true, err
}

// insertRow inserts the row of fields and reports whether its key and id were free.
func (i *inserter) insertRow() (bool, error) {
	result, err := i.row.ExecContext(i.ctx, i.fields...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// insertElsewhere inserts a message whose key is not free, unless that is its own.
func (i *inserter) insertElsewhere(m *index.Message) (added bool, seq int64, err error) {
	var there bool
	err = i.tx.QueryRowContext(i.ctx, "SELECT EXISTS (SELECT 1 FROM messages WHERE id = ?)", m.ID.String()).Scan(&there)
	if err != nil || there {
		return false, 0, err
	}
	seq, err = i.free(m)
	if err != nil {
		return false, 0, err
	}
	i.fields[0] = seq
	added, err = i.insertRow()
	return added, seq, err
}

// free returns the first free key after the message's own, in the same millisecond, which
// begins again after its last.
func (i *inserter) free(m *index.Message) (int64, error) {
	const query = `SELECT a.seq + 1 FROM messages a WHERE a.seq BETWEEN ? AND ?
		AND NOT EXISTS (SELECT 1 FROM messages b WHERE b.seq = a.seq + 1) ORDER BY a.seq LIMIT 1`
	first, last := firstSeq(m.ID), lastSeq(m.ID)
	for _, from := range []int64{seqOf(m.ID), first} {
		var seq int64
		err := i.tx.QueryRowContext(i.ctx, query, from, last-1).Scan(&seq)
		if err == nil {
			return seq, nil
		}
		if err != sql.ErrNoRows {
			return 0, err
		}
	}
	return 0, fmt.Errorf("%w: %d messages of one millisecond", index.ErrRefused, 1<<seqBits)
}

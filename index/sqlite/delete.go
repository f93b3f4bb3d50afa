package sqlite

import (
	"context"
	"time"
)

// deleteStep is the least number of messages that are deleted at a time, if there are as
// many. Insert may come between.
const deleteStep = 500

// DeleteBefore implements index.Store. The file keeps its size; new rows use the room.
func (s *Store) DeleteBefore(ctx context.Context, t time.Time) (deleted int64, err error) {
	bound := seqBefore(t)
	for {
		began := time.Now()
		n, err := s.deleteSome(ctx, bound)
		deleted += n
		if err != nil || n == 0 {
			return deleted, s.explain(err)
		}
		select { // as long again for others, who may be of other processes
		case <-time.After(time.Since(began)):
		case <-ctx.Done():
			return deleted, ctx.Err()
		}
	}
}

// deleteSome deletes the oldest messages whose keys are below the bound. It deletes all of
// a millisecond or none.
func (s *Store) deleteSome(ctx context.Context, bound int64) (int64, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()
	var end int64
	err = tx.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM (SELECT seq FROM messages WHERE seq < ? ORDER BY seq LIMIT ?)", bound, deleteStep).Scan(&end)
	if err != nil {
		return 0, err
	}
	end = (end>>seqBits + 1) << seqBits
	if end > bound {
		end = bound
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM terms WHERE rowid < ?", end); err != nil {
		return 0, err
	}
	result, err := tx.ExecContext(ctx, "DELETE FROM messages WHERE seq < ?", end)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, err
	}
	return n, tx.Commit()
}

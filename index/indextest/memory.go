package indextest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"sluice/index"
	"sluice/pipeline"
)

// Memory is an index.Store without a database: what the suite compares databases with,
// and what tests of its users may fill. Rows are shared, so nobody may change them.
type Memory struct {
	mu     sync.Mutex
	rows   []*index.Message // newest first
	closed bool
}

// Insert implements index.Store.
func (s *Memory) Insert(ctx context.Context, messages []*index.Message) (inserted int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	for _, m := range messages {
		at, found := slices.BinarySearchFunc(s.rows, m, newestFirst)
		if !found {
			s.rows = slices.Insert(s.rows, at, m)
			inserted++
		}
	}
	return inserted, nil
}

func (s *Memory) usable(ctx context.Context) error {
	if s.closed {
		return errors.New("closed")
	}
	return ctx.Err()
}

// Find implements index.Store.
func (s *Memory) Find(ctx context.Context, q *index.Query) (index.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page := index.Page{}
	if err := s.usable(ctx); err != nil {
		return page, err
	}
	rest := s.rows
	if q.Cursor != "" {
		last, err := pipeline.ParseID(q.Cursor)
		if err != nil || last.String() != q.Cursor {
			return page, index.ErrCursor
		}
		at, found := slices.BinarySearchFunc(rest, &index.Message{ID: last}, newestFirst)
		if found {
			at++
		}
		rest = rest[at:]
	}
	for _, m := range rest {
		if !wanted(q, m) {
			continue
		}
		if len(page.Messages) == q.Limit {
			page.Cursor = page.Messages[q.Limit-1].ID.String()
			break
		}
		page.Messages = append(page.Messages, m)
	}
	return page, nil
}

// wanted reports whether q wants m, without regard to its cursor.
func wanted(q *index.Query, m *index.Message) bool {
	for _, term := range q.Terms {
		if _, found := slices.BinarySearch(m.Terms, term); !found {
			return false
		}
	}
	return (!q.Client.IsValid() || q.Client.Contains(m.Client.Address)) &&
		(q.Since.IsZero() || !m.ReceivedAt.Before(q.Since)) && (q.Until.IsZero() || m.ReceivedAt.Before(q.Until))
}

// Get implements index.Store.
func (s *Memory) Get(ctx context.Context, id pipeline.ID) (*index.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	at, found := slices.BinarySearchFunc(s.rows, &index.Message{ID: id}, newestFirst)
	if !found {
		return nil, index.ErrNotFound
	}
	return s.rows[at], nil
}

// DeleteBefore implements index.Store.
func (s *Memory) DeleteBefore(ctx context.Context, t time.Time) (deleted int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	before := len(s.rows)
	s.rows = slices.DeleteFunc(s.rows, func(m *index.Message) bool { return m.ID.Time().Before(t) })
	return int64(before - len(s.rows)), nil
}

// Close implements index.Store.
func (s *Memory) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

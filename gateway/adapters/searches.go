package adapters

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sluice/gateway/config"
	"sluice/index"
	"sluice/pipeline"
)

// Searches is the index for searches. It may not be open yet.
type Searches struct {
	mu    sync.Mutex
	open  func(context.Context) (index.Store, error) // nil for one that another opens
	store index.Store
	gone  bool
}

// NewSearches returns the index that c names for searches. It is opened by the first one
// that finds the database there.
func NewSearches(c *config.Config) *Searches {
	return &Searches{open: func(ctx context.Context) (index.Store, error) { return OpenIndexReader(ctx, c) }}
}

var (
	errNotOpen = errors.New("the index is not open yet")
	errClosed  = errors.New("the index is closed")
	errSearch  = errors.New("the index is open for searches alone")
)

func (s *Searches) use(store index.Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store = store
}

// ready returns the open index.
func (s *Searches) ready(ctx context.Context) (index.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone:
		return nil, errClosed
	case s.store != nil:
		return s.store, nil
	case s.open == nil:
		return nil, errNotOpen
	}
	store, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotOpen, err)
	}
	s.store = store
	return store, nil
}

// Find implements index.Store.
func (s *Searches) Find(ctx context.Context, q *index.Query) (index.Page, error) {
	store, err := s.ready(ctx)
	if err != nil {
		return index.Page{}, err
	}
	return store.Find(ctx, q)
}

// Get implements index.Store.
func (s *Searches) Get(ctx context.Context, id pipeline.ID) (*index.Message, error) {
	store, err := s.ready(ctx)
	if err != nil {
		return nil, err
	}
	return store.Get(ctx, id)
}

// Insert implements index.Store.
func (s *Searches) Insert(context.Context, []*index.Message) (int, error) { return 0, errSearch }

// DeleteBefore implements index.Store.
func (s *Searches) DeleteBefore(context.Context, time.Time) (int64, error) { return 0, errSearch }

// Close implements index.Store.
func (s *Searches) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	store := s.store
	s.store, s.gone = nil, true
	if store == nil {
		return nil
	}
	return store.Close()
}

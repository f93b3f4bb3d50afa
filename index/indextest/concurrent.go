package indextest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/index"
)

// concurrent inserts the same messages by several goroutines, in batches of other orders
// and lengths, while others search.
func concurrent(t *testing.T, s index.Store) {
	r := newRandom(30)
	all := r.many(200)
	var inserted atomic.Int64
	var writers, readers sync.WaitGroup
	for w := range 4 {
		order := newRandom(uint64(31 + w)).Perm(len(all))
		writers.Go(func() {
			for size := 10 + 7*w; len(order) > 0; {
				var batch []*index.Message
				for _, i := range order[:min(size, len(order))] {
					batch = append(batch, all[i])
				}
				order = order[len(batch):]
				n, err := s.Insert(context.Background(), batch)
				if err != nil {
					t.Error(err)
					return
				}
				inserted.Add(int64(n))
			}
		})
	}
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for before := 0; ; {
				page, err := s.Find(context.Background(), &index.Query{Terms: []string{"s:all"}, Limit: len(all)})
				if err != nil || len(page.Messages) < before {
					t.Errorf("%d found after %d, %v", len(page.Messages), before, err)
					return
				}
				before = len(page.Messages)
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	if n := inserted.Load(); n != int64(len(all)) {
		t.Errorf("%d inserted in all, want %d", n, len(all))
	}
	mustFind(t, s, index.Query{}, all...)
	mustFind(t, s, index.Query{Terms: []string{"s:all"}}, all...)
}

// ended calls each method with a context that has ended, then without.
func ended(t *testing.T, s index.Store) {
	m := newRandom(40).message(noon, "s:all")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := s.Insert(ctx, []*index.Message{m}); n != 0 || err == nil {
		t.Errorf("%d inserted, %v", n, err)
	}
	if _, err := s.Find(ctx, &index.Query{Limit: 1}); err == nil {
		t.Error("Find has no error")
	}
	if _, err := s.Get(ctx, m.ID); err == nil {
		t.Error("Get has no error")
	}
	if _, err := s.DeleteBefore(ctx, noon); err == nil {
		t.Error("DeleteBefore has no error")
	}
	mustFind(t, s, index.Query{})
	mustInsert(t, s, 1, m)
	mustGet(t, s, m)
}

// closed calls each method of a database that was closed.
func closed(t *testing.T, s index.Store) {
	m := newRandom(41).message(noon, "s:all")
	mustInsert(t, s, 1, m)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Insert(t.Context(), []*index.Message{m}); n != 0 || err == nil {
		t.Errorf("%d inserted, %v", n, err)
	}
	if _, err := s.Find(t.Context(), &index.Query{Limit: 1}); err == nil {
		t.Error("Find has no error")
	}
	if _, err := s.Get(t.Context(), m.ID); err == nil {
		t.Error("Get has no error")
	}
	if _, err := s.DeleteBefore(t.Context(), noon.Add(72*time.Hour)); err == nil {
		t.Error("DeleteBefore has no error")
	}
	_ = s.Close() // it may fail, and must return
}

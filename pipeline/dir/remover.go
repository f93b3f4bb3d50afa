package dir

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"

	"sluice/internal/panics"
	"sluice/pipeline"
)

var _ pipeline.RemovingStore = (*Store)(nil)

// maxRemovals is the number of objects that may wait to be removed. Their messages were
// refused after they had been stored, which is rare.
const maxRemovals = 1024

var errTooMany = errors.New("too many others wait to be removed")

// remover removes the objects of messages whose events can never be published. A removal
// need not be durable. After a loss of power an object without an event may be left, as
// of any message that failed after it was stored.
type remover struct {
	keys       chan string
	stop       chan struct{}
	ended      sync.WaitGroup
	failed     atomic.Int64
	remove     func(key string) error
	leftBehind func(key string, err error)
}

func startRemover(remove func(key string) error, leftBehind func(key string, err error)) *remover {
	r := &remover{
		keys: make(chan string, maxRemovals), stop: make(chan struct{}),
		remove: remove, leftBehind: leftBehind,
	}
	r.ended.Go(func() { panics.Keep(panics.Store, r.run) })
	return r
}

func (r *remover) run() {
	for {
		select {
		case key := <-r.keys:
			r.removeOne(key)
		case <-r.stop:
			for len(r.keys) > 0 {
				r.removeOne(<-r.keys)
			}
			return
		}
	}
}

func (r *remover) removeOne(key string) {
	if err := r.remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.giveUp(key, err)
	}
}

func (r *remover) giveUp(key string, err error) {
	r.failed.Add(1)
	r.leftBehind(key, err)
}

// close removes what waits and ends the remover. It must be called once.
func (r *remover) close() {
	close(r.stop)
	r.ended.Wait()
}

// Remove implements pipeline.RemovingStore.
func (s *Store) Remove(key string) {
	if s.puts.Closed() {
		s.remover.giveUp(key, errClosed)
		return
	}
	select {
	case s.remover.keys <- key:
	default:
		s.remover.giveUp(key, errTooMany)
	}
}

func (s *Store) removeObject(key string) error {
	name, err := s.locate(key)
	if err != nil {
		return err
	}
	return s.fs.Remove(filepath.Join(s.root, name))
}

// LeftBehind returns the number of objects that could not be removed.
func (s *Store) LeftBehind() int64 { return s.remover.failed.Load() }

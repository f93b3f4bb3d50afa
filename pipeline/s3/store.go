// Package s3 is the object store on a bucket of MinIO or any S3: an object for
// each message under its key, in one request or, when it is large, in parts that
// leave while the message still arrives.
package s3

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/inflight"
	"sluice/pipeline/pack"
)

const storeName = "s3"

// Store is an ObjectStore and a PartStore on a bucket.
type Store struct {
	Reader
	options Options

	queue     chan task // without lanes all, with them messages of refused packs
	large     chan task // beside lanes all others, through the turnstile
	turnstile *turnstile
	batcher   *pack.Batcher     // nil without packing
	puts      *inflight.Tracker // from Put or PutPart until the result
	workers   sync.WaitGroup

	cleaner    *cleaner
	background sync.WaitGroup
	ctx        context.Context // of every request
	cancel     context.CancelFunc
}

// task is a message to put, or a part of one.
type task struct {
	message *pipeline.Message // nil for a part
	part    *pipeline.Part
	upload  *upload // of the part
	turn    int     // of the part in the digest
	since   time.Time
}

var (
	_ pipeline.PartStore     = (*Store)(nil)
	_ pipeline.RemovingStore = (*Store)(nil)
)

// Open looks at the bucket and starts the workers. A bucket that is not there and
// refused credentials are errors that say how to mend it; a store that cannot be
// reached is none: until it can, every Put fails.
func Open(ctx context.Context, o Options) (*Store, error) {
	reader, err := NewReader(o)
	if err != nil {
		return nil, err
	}
	o.defaults()
	s := &Store{
		Reader:    *reader,
		options:   o,
		queue:     make(chan task, o.Queue),
		large:     make(chan task, o.Queue),
		turnstile: newTurnstile(o.Concurrency, o.Timeout),
		puts:      inflight.New(),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.look(ctx); err != nil {
		s.cancel()
		s.client.transport.CloseIdleConnections()
		return nil, err
	}
	s.cleaner = newCleaner(s)
	s.background.Go(s.cleaner.run)
	s.background.Go(func() { s.turnstile.run(s.ctx, s.large) })
	s.startWorkers()
	if o.Pack != nil {
		packs := *o.Pack
		packs.Queue, packs.Timeout = o.Queue, o.Timeout
		s.batcher = pack.Start(packs, func(int) pack.Writer { return packWriter{newWorker(s)} })
	}
	return s, nil
}

// startWorkers starts the workers, and what hands them large messages in order.
func (s *Store) startWorkers() {
	admitted := make(chan task)
	s.workers.Go(func() {
		defer close(admitted)
		for next := range s.large {
			s.turnstile.enter(next.since)
			admitted <- next
		}
	})
	for range s.options.Concurrency {
		w := newWorker(s)
		w.rest = s.turnstile.rest
		s.workers.Go(func() { w.run(admitted) })
	}
}

var (
	errQueueFull = errors.New("queue full")
	errClosed    = errors.New("store closed")
	errWaited    = errors.New("waited too long for a worker")
)

// Put hands a message to the lanes when it may share an object, else to the workers.
func (s *Store) Put(m *pipeline.Message) {
	if s.batcher.Accepts(m) {
		if err := s.count(); err != nil {
			s.stored(m, stored{}, err)
		} else if !s.batcher.Put(m) {
			s.stored(m, stored{}, fail("queue", errQueueFull))
		}
		return
	}
	if err := s.submit(task{message: m, since: time.Now()}); err != nil {
		if u, ok := m.Upload.(*upload); ok {
			s.discard(u) // a Put that fails leaves nothing pending
		}
		s.stored(m, stored{}, err)
	}
}

// PutPart hands a part to the workers.
func (s *Store) PutPart(p *pipeline.Part) {
	u, ok := p.Message.Upload.(*upload)
	if !ok {
		u = newUpload(p.Message.Key())
		p.Message.Upload = u
	}
	turn := u.turns
	u.turns++
	if err := s.submit(task{part: p, upload: u, turn: turn, since: time.Now()}); err != nil {
		u.fail(err)
		s.uploaded(p, err)
	}
}

// PartSize gives the octets of each part but the last.
func (s *Store) PartSize() int64 { return s.options.PartSize }

// Abort removes an upload in the background.
func (s *Store) Abort(state any) {
	if u, ok := state.(*upload); ok {
		s.discard(u)
	}
}

// Remove implements pipeline.RemovingStore.
func (s *Store) Remove(key string) { s.cleaner.add(leftover{key: key, object: true}) }

// submit counts and queues a task; its error is the task's result.
func (s *Store) submit(t task) error {
	if err := s.count(); err != nil {
		return err
	}
	return s.enqueue(t)
}

// count counts what Close waits for, also when there is an error.
func (s *Store) count() error {
	if !s.puts.Begin() {
		return fail("queue", errClosed)
	}
	return nil
}

// enqueue queues a task without blocking.
func (s *Store) enqueue(t task) error {
	queue := s.queue
	if s.batcher != nil && (t.message == nil || !s.batcher.Accepts(t.message)) {
		queue = s.large
	}
	select {
	case queue <- t:
		return nil
	default:
		return fail("queue", errQueueFull)
	}
}

// stored is the good result of a message.
type stored struct {
	blob   pipeline.Blob
	digest pipeline.Digest
}

func (s *Store) stored(m *pipeline.Message, result stored, err error) {
	m.Stored(result.blob, result.digest, err)
	s.puts.Done(1)
}

func (s *Store) uploaded(p *pipeline.Part, err error) {
	p.Uploaded(err)
	s.puts.Done(1)
}

// Depth gives the messages and parts that wait for a worker or are on their way.
func (s *Store) Depth() int64 { return s.puts.Depth() }

// LargeLimit gives how many tasks of large messages may be under way at the same
// time now: up to Options.Concurrency.
func (s *Store) LargeLimit() int { return s.turnstile.limit() }

// Batcher returns the batcher of small messages. It is nil without packing.
func (s *Store) Batcher() *pack.Batcher { return s.batcher }

// LeftBehind gives the number of failed or aborted messages of which something
// stayed in the bucket.
func (s *Store) LeftBehind() int64 { return s.cleaner.failed.Load() }

// Close waits, at most CloseTimeout, for what is under way, fails the rest, and
// tries once more to remove what is to be removed. A later Put fails. All results
// have come when it returns.
func (s *Store) Close() error {
	if !s.puts.Close() {
		return nil
	}
	var err error
	if left := s.puts.Drain(s.options.CloseTimeout, s.cancel); left > 0 {
		err = fmt.Errorf("s3: closed with %d requests unanswered", left)
	}
	s.batcher.Close()
	close(s.queue)
	close(s.large)
	s.workers.Wait()
	s.cleaner.close()
	s.background.Wait()
	s.client.transport.CloseIdleConnections()
	return err
}

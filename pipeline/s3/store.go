// Package s3 is the object store on a bucket of MinIO or any other S3. Each message is an
// object under its key, stored by one PUT. A large one is stored by a multipart upload,
// whose parts are sent while the message still arrives. Small messages may share an
// object (package pack).
package s3

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sluice/internal/panics"
	"sluice/pipeline"
	"sluice/pipeline/inflight"
	"sluice/pipeline/pack"
)

const storeName = "s3"

// Store is an ObjectStore and a PartStore on a bucket.
type Store struct {
	Reader
	options Options

	queue   chan task         // all tasks; with packing only the small messages of split packs
	large   chan task         // with packing, all other tasks; they pass the gate
	gate    *limiterGate      // limits large tasks
	batcher *pack.Batcher     // nil without packing
	pace    pace              // of the store
	puts    *inflight.Tracker // from Put or PutPart until the result
	workers sync.WaitGroup

	cleaner    *cleaner
	background sync.WaitGroup
	ctx        context.Context // of every request
	cancel     context.CancelFunc
}

// task is a message to store, or a part of one.
type task struct {
	message *pipeline.Message // nil for a part
	part    *pipeline.Part
	upload  *upload // of the part
	index   int     // of the part in the order of the digest, from 0
	since   time.Time
}

var (
	_ pipeline.PartStore     = (*Store)(nil)
	_ pipeline.RemovingStore = (*Store)(nil)
)

// Open probes the bucket and starts the workers. It returns an error, with what to check,
// when the bucket is missing or the credentials are refused. It returns none when the
// store cannot be reached: every Put fails until it can.
func Open(ctx context.Context, o Options) (*Store, error) {
	reader, err := NewReader(o)
	if err != nil {
		return nil, err
	}
	o.defaults()
	s := &Store{
		Reader:  *reader,
		options: o,
		queue:   make(chan task, o.Queue),
		large:   make(chan task, o.Queue),
		gate:    newLimiterGate(o.Concurrency, o.Timeout),
		puts:    inflight.New(),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.firstProbe(ctx); err != nil {
		s.cancel()
		s.client.transport.CloseIdleConnections()
		return nil, err
	}
	s.cleaner = newCleaner(s)
	s.background.Go(func() { panics.Keep(panics.Store, s.cleaner.run) })
	s.background.Go(func() {
		panics.Keep(panics.Store, func() { s.gate.run(s.ctx, s.large) })
	})
	s.startWorkers()
	if o.Pack != nil {
		packs := *o.Pack
		packs.Queue, packs.Timeout = o.Queue, o.Timeout
		s.batcher = pack.Start(packs, func(int) pack.Writer {
			w := newWorker(s)
			w.lane = true
			return packWriter{w}
		})
	}
	return s, nil
}

// startWorkers starts the workers, and the goroutine that passes large tasks through the
// gate.
func (s *Store) startWorkers() {
	admitted := make(chan task)
	s.workers.Go(func() {
		defer close(admitted)
		panics.Keep(panics.Store, func() { s.admit(admitted) })
	})
	for range s.options.Concurrency {
		w := newWorker(s)
		w.pause = s.gate.pause
		s.workers.Go(func() { panics.Keep(panics.Store, func() { w.run(admitted) }) })
	}
}

// admit passes large tasks through the gate.
func (s *Store) admit(admitted chan<- task) {
	for next := range s.large {
		err := panics.Try(panics.Store, func() error {
			s.gate.acquire(next.since)
			return nil
		})
		if err != nil {
			s.refuse(next, err)
			continue
		}
		admitted <- next
	}
}

var (
	errQueueFull = errors.New("queue full")
	errClosed    = errors.New("store closed")
	errWaited    = errors.New("waited too long for a worker")
)

// Put implements pipeline.ObjectStore. Messages that may share an object go to the
// batcher, others to the workers.
func (s *Store) Put(m *pipeline.Message) {
	if s.batcher.Accepts(m) {
		if err := s.count(); err != nil {
			s.stored(m, stored{}, err)
		} else if !s.batcher.Put(m) {
			s.stored(m, stored{}, fail("queue", errQueueFull))
		}
		return
	}
	next := task{message: m, since: time.Now()}
	if err := s.submit(next); err != nil {
		s.refuse(next, err)
	}
}

// PutPart implements pipeline.PartStore.
func (s *Store) PutPart(p *pipeline.Part) {
	u, ok := p.Message.Parts.Upload.(*upload)
	if !ok {
		u = newUpload(p.Message.Key())
		p.Message.Parts.Upload = u
	}
	index := u.submitted
	u.submitted++
	next := task{part: p, upload: u, index: index, since: time.Now()}
	if err := s.submit(next); err != nil {
		s.refuse(next, err)
	}
}

// refuse is the result of a task that failed.
func (s *Store) refuse(t task, err error) {
	if t.part != nil {
		t.upload.fail(err)
		s.uploaded(t.part, err)
		return
	}
	if u, ok := t.message.Parts.Upload.(*upload); ok {
		s.discard(u) // a failed Put leaves no upload pending
	}
	s.stored(t.message, stored{}, err)
}

// PartSize returns the size in bytes of each part but the last.
func (s *Store) PartSize() int64 { return s.options.PartSize }

// Abort implements pipeline.PartStore. The upload is removed in the background.
func (s *Store) Abort(state any) {
	if u, ok := state.(*upload); ok {
		s.discard(u)
	}
}

// Remove implements pipeline.RemovingStore.
func (s *Store) Remove(key string) { s.cleaner.add(leftover{key: key, object: true}) }

// submit counts and queues a task. A task that it returns an error for has that result.
func (s *Store) submit(t task) error {
	if err := s.count(); err != nil {
		return err
	}
	return s.enqueue(t)
}

// count counts a request that Close waits for, even when it returns an error.
func (s *Store) count() error {
	if !s.puts.Begin() {
		return fail("queue", errClosed)
	}
	return nil
}

// enqueue queues a task. It never blocks.
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

// stored is the result of a message that was stored.
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

// Depth returns the number of messages and parts without a result.
func (s *Store) Depth() int64 { return s.puts.Depth() }

// LargeLimit returns the number of tasks of large messages that may be in flight now. It
// is at most Options.Concurrency.
func (s *Store) LargeLimit() int { return s.gate.allowed() }

// Batcher returns the batcher of small messages. It is nil without packing.
func (s *Store) Batcher() *pack.Batcher { return s.batcher }

// LeftBehind returns the number of failed or aborted messages that left an object or an
// upload in the bucket.
func (s *Store) LeftBehind() int64 { return s.cleaner.failed.Load() }

// Close waits at most CloseTimeout for the requests in flight and then fails the others.
// It tries once more to remove leftovers. A later Put fails. All results have been
// delivered when it returns.
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

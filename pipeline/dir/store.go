// Package dir is the object store on a local folder. Each message is a file under its
// key, written so that it survives a loss of power once it is acknowledged. Small
// messages may share a file (package pack).
package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"sluice/internal/panics"
	"sluice/pipeline"
	"sluice/pipeline/durable"
	"sluice/pipeline/inflight"
	"sluice/pipeline/pack"
)

const (
	storeName = "dir"
	tmpFolder = "tmp"
	lockFile  = "lock"
)

// Options configures a Store. Zero numbers take the defaults.
type Options struct {
	// Path is the folder. A missing one is created.
	Path string
	// Concurrency is the number of messages that are written at the same time. The
	// default is 16: concurrent fsyncs share the flushes of the disk.
	Concurrency int
	// Queue is the number of messages that may wait for a writer. The default is 1024.
	// When the queue is full, the next one fails with KindTemporary.
	Queue int
	// Timeout is how long a message may wait for a writer. The default is 60 s. A message
	// that waited longer is not written, because its sender got another reply.
	Timeout time.Duration
	// Pack configures packing. Nil stores each message in a file of its own. Its Queue
	// and Timeout are replaced by those above.
	Pack *pack.Options
	// LeftBehind is called with an object that could not be removed. It is called from
	// any goroutine and must not block.
	LeftBehind func(key string, err error)
}

func (o *Options) defaults() {
	if o.Concurrency <= 0 {
		o.Concurrency = 16
	}
	if o.Queue <= 0 {
		o.Queue = 1024
	}
	if o.Timeout <= 0 {
		o.Timeout = 60 * time.Second
	}
	if o.LeftBehind == nil {
		o.LeftBehind = func(string, error) {}
	}
}

// Store is an ObjectStore on a folder. Only one process at a time may write the folder. A
// Reader may read it at any time.
type Store struct {
	Reader
	options Options
	bucket  string // the folder's name
	tmp     string
	lock    *os.File
	fs      fileSystem
	folders folders

	queue   chan queued
	batcher *pack.Batcher     // nil without packing
	puts    *inflight.Tracker // from Put until the result
	writers sync.WaitGroup
	remover *remover
}

// queued is a message that waits for a writer, put at since.
type queued struct {
	m     *pipeline.Message
	since time.Time
}

var _ pipeline.ObjectStore = (*Store)(nil)

// Open prepares the folder, removes files that a killed process left unfinished, and
// starts the writers. It fails when another process has the folder open.
func Open(o Options) (*Store, error) { return open(o, osFileSystem{}) }

func open(o Options, calls fileSystem) (*Store, error) {
	o.defaults()
	root, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, fmt.Errorf("dir: %w", err)
	}
	s := &Store{
		Reader:  Reader{root: root},
		options: o,
		bucket:  filepath.Base(root),
		tmp:     filepath.Join(root, tmpFolder),
		fs:      calls,
		folders: folders{fs: calls, root: root, durable: map[string]struct{}{}},
		queue:   make(chan queued, o.Queue),
		puts:    inflight.New(),
	}
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("dir: %w", err)
	}
	s.remover = startRemover(s.removeObject, o.LeftBehind)
	for i := range o.Concurrency {
		w := newWriter(s, i)
		s.writers.Go(func() { panics.Keep(panics.Store, func() { s.writeQueued(w) }) })
	}
	if o.Pack != nil {
		packs := *o.Pack
		packs.Queue, packs.Timeout = o.Queue, o.Timeout
		s.batcher = pack.Start(packs, func(n int) pack.Writer {
			return packWriter{newWriter(s, o.Concurrency+n)}
		})
	}
	return s, nil
}

// prepare makes root and tmp durable, takes the lock and empties tmp.
func (s *Store) prepare() error {
	if err := durable.MakeAll(s.fs, s.root); err != nil {
		return err
	}
	if err := s.folders.ensure(tmpFolder); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(s.tmp, lockFile), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("%s is in use by another process", s.root)
		}
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	s.lock = lock
	return s.removeLeftovers()
}

func (s *Store) removeLeftovers() error {
	entries, err := os.ReadDir(s.tmp)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == lockFile {
			continue
		}
		err := s.fs.Remove(filepath.Join(s.tmp, e.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

var (
	errQueueFull = errors.New("queue full")
	errClosed    = errors.New("store closed")
	errWaited    = errors.New("waited too long for a writer")
)

// Put implements pipeline.ObjectStore. Messages that may share a file go to the batcher,
// others to the writers.
func (s *Store) Put(m *pipeline.Message) {
	switch open := s.puts.Begin(); {
	case !open:
		s.refuse(m, fail("put", errClosed))
	case !s.batcher.Accepts(m):
		s.enqueue(queued{m, time.Now()})
	case !s.batcher.Put(m):
		s.refuse(m, fail("put", errQueueFull))
	}
}

// enqueue queues a message for a writer. It never blocks.
func (s *Store) enqueue(next queued) {
	select {
	case s.queue <- next:
	default:
		s.refuse(next.m, fail("put", errQueueFull))
	}
}

func (s *Store) writeQueued(w *writer) {
	for next := range s.queue {
		_ = s.handle(w, next) // the message has the result
	}
}

func (s *Store) handle(w *writer, next queued) error {
	if time.Since(next.since) > s.options.Timeout {
		expired := &pipeline.Failure{Kind: pipeline.KindTimeout, Op: "dir: queue", Err: errWaited}
		s.refuse(next.m, expired)
		return expired
	}
	var blob pipeline.Blob
	var digest pipeline.Digest
	err := panics.Try(panics.Store, func() (err error) {
		blob, digest, err = w.write(next.m)
		return err
	})
	next.m.Stored(blob, digest, err)
	s.puts.Done(1)
	return err
}

func (s *Store) refuse(m *pipeline.Message, err error) {
	m.Stored(pipeline.Blob{}, pipeline.Digest{}, err)
	s.puts.Done(1)
}

// Bucket returns the name of the folder, which is the bucket in events.
func (s *Store) Bucket() string { return s.bucket }

// Batcher returns the batcher of small messages. It is nil without packing.
func (s *Store) Batcher() *pack.Batcher { return s.batcher }

// Depth returns the number of messages without a result.
func (s *Store) Depth() int64 { return s.puts.Depth() }

// Close writes what waits and then ends the writers, however long the disk takes. A later
// Put fails.
func (s *Store) Close() error {
	if !s.puts.Close() {
		return nil
	}
	s.puts.Wait()
	s.batcher.Close()
	close(s.queue)
	s.writers.Wait()
	s.remover.close()
	return s.lock.Close()
}

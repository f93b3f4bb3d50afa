// Package dir is the object store on a local folder: one file per message under
// its key, written so that it survives a loss of power once it is acknowledged.
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

	"sluice/pipeline"
	"sluice/pipeline/inflight"
	"sluice/pipeline/pack"
)

const (
	storeName = "dir"
	tmpFolder = "tmp"
	lockFile  = "lock"
)

// Options of a store. The zero value of a number takes the default.
type Options struct {
	// Path of the folder. It is made when it is not there.
	Path string
	// Concurrency is the number of messages written at the same time, default 16:
	// fsyncs that wait together share the disk's flushes.
	Concurrency int
	// Queue is the number of messages that may wait for a writer, default 1024.
	// One more is a temporary failure.
	Queue int
	// Timeout is how long a message may wait for a writer, default 60 s. One that
	// waited longer is not written: its sender has another answer.
	Timeout time.Duration
	// Pack lets small messages share files; nil gives each its own. Its
	// Queue and Timeout are those above.
	Pack *pack.Options
	// LeftBehind hears, from any goroutine, of an object that should go and could
	// not be removed. It must not block.
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

// Store is an ObjectStore on a folder. One process at a time may write a folder;
// a Reader may read it at any time.
type Store struct {
	Reader
	options Options
	bucket  string // the folder's name
	tmp     string
	lock    *os.File
	fs      fileSystem
	folders folders

	queue   chan waiting
	batcher *pack.Batcher     // nil without packing
	puts    *inflight.Tracker // from Put until the result
	writers sync.WaitGroup
	remover *remover
}

type waiting struct {
	m     *pipeline.Message
	since time.Time
}

var _ pipeline.ObjectStore = (*Store)(nil)

// Open makes the folder ready, removes what a killed process left half written,
// and starts the writers. It fails when another process has the folder open.
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
		queue:   make(chan waiting, o.Queue),
		puts:    inflight.New(),
	}
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("dir: %w", err)
	}
	s.remover = startRemover(s.removeObject, o.LeftBehind)
	for i := range o.Concurrency {
		w := newWriter(s, i)
		s.writers.Go(func() {
			for next := range s.queue {
				s.handle(w, next)
			}
		})
	}
	if o.Pack != nil {
		packs := *o.Pack
		packs.Queue, packs.Timeout = o.Queue, o.Timeout
		s.batcher = pack.Start(packs, func(n int) pack.Writer { return packWriter{newWriter(s, o.Concurrency+n)} })
	}
	return s, nil
}

// prepare makes root and tmp durable, takes the lock and empties tmp.
func (s *Store) prepare() error {
	if err := makeRoot(s.fs, s.root); err != nil {
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
		if err := s.fs.Remove(filepath.Join(s.tmp, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// makeRoot makes a folder and those above it that are missing, each durable in
// its parent.
func makeRoot(calls fileSystem, path string) error {
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a folder", path)
		}
		return nil
	}
	parent := filepath.Dir(path)
	if err := makeRoot(calls, parent); err != nil {
		return err
	}
	if err := calls.Mkdir(path); err != nil && !exists(err) {
		return err
	}
	return calls.SyncDir(parent)
}

var (
	errQueueFull = errors.New("queue full")
	errClosed    = errors.New("store closed")
	errWaited    = errors.New("waited too long for a writer")
)

// Put hands a message to the lanes when it may share a file, else to the writers.
func (s *Store) Put(m *pipeline.Message) {
	switch open := s.puts.Begin(); {
	case !open:
		s.refuse(m, fail("put", errClosed))
	case !s.batcher.Accepts(m):
		s.enqueue(waiting{m, time.Now()})
	case !s.batcher.Put(m):
		s.refuse(m, fail("put", errQueueFull))
	}
}

// enqueue lets a message wait for a writer, and never blocks.
func (s *Store) enqueue(next waiting) {
	select {
	case s.queue <- next:
	default:
		s.refuse(next.m, fail("put", errQueueFull))
	}
}

func (s *Store) handle(w *writer, next waiting) {
	if time.Since(next.since) > s.options.Timeout {
		s.refuse(next.m, &pipeline.Failure{Kind: pipeline.KindTimeout, Op: "dir: queue", Err: errWaited})
		return
	}
	blob, digest, err := w.write(next.m)
	next.m.Stored(blob, digest, err)
	s.puts.Done(1)
}

func (s *Store) refuse(m *pipeline.Message, err error) {
	m.Stored(pipeline.Blob{}, pipeline.Digest{}, err)
	s.puts.Done(1)
}

// Bucket gives the name of the folder, which events call the bucket.
func (s *Store) Bucket() string { return s.bucket }

// Batcher returns the batcher of small messages. It is nil without packing.
func (s *Store) Batcher() *pack.Batcher { return s.batcher }

// Depth gives the messages that wait for a writer or are being written.
func (s *Store) Depth() int64 { return s.puts.Depth() }

// Close writes what waits, then ends the writers. A later Put fails. It waits as
// long as the disk takes.
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

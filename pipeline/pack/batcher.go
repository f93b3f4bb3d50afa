package pack

import (
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/panics"
	"sluice/pipeline"
)

// Writer stores the packs of one batch worker, one object after another. Only that
// worker calls it. The since of a method is when its oldest message was put; the
// result is due within Options.Timeout of it.
type Writer interface {
	// PutOne stores m as an object of its own and delivers its result. It reports whether
	// m was stored.
	PutOne(m *pipeline.Message, since time.Time) (stored bool)
	// PutPack stores p as one object, retrying as needed; it delivers no results.
	// split reports that the size or the content of the pack may be why it failed, so that
	// messages may succeed if stored one by one.
	PutPack(p *Pack, since time.Time) (split bool, err error)
	// Requeue hands over m, a message of a split pack, to be stored alone. It does not
	// block.
	Requeue(m *pipeline.Message, since time.Time)
	// Done is called after the results of a pack of this many messages were delivered.
	Done(messages int)
}

// Observer counts packs. A message that is sent alone counts as a pack of one.
type Observer interface {
	// PackWaited is called with the time a message waited for a worker.
	PackWaited(seconds float64)
	// PackDone is called with the result of a request for two or more messages: ok or
	// a kind of failure.
	PackDone(result string)
	// PackTaken is called when a worker has filled a pack with this many messages of
	// this many bytes.
	PackTaken(messages int, size int64)
	// PackSplit is called when a pack of this many messages failed with err and each
	// message is requeued.
	PackSplit(messages int, err error)
}

// Options configures a Batcher. Zero numbers take the defaults.
type Options struct {
	Limits
	// Lanes is the number of workers, and so of objects in flight. The default is 2.
	Lanes int
	// Linger is how long a worker that has a message always waits for more. The
	// default is none: packs grow because all workers are busy.
	Linger time.Duration
	// MaxWait bounds the wait for a pack that is large enough to be sent alongside
	// others (ShouldSend). The default is the usual request duration (latencyFloor).
	MaxWait time.Duration
	// Queue is the number of messages that may wait. The default is 1024.
	Queue int
	// Timeout is how long waiting and storing a message may take in all. The default
	// is one minute.
	Timeout  time.Duration
	Observer Observer
	// Line and Spawn are set by the simulator: where messages wait, and how a worker is
	// started. Both are nil otherwise.
	Line  Line
	Spawn func(run func())
}

// Defaults of Options and Limits. At 8 MiB the fixed cost of a request is small compared
// to that of its bytes. A store that takes parts still takes such a pack whole.
const (
	DefaultLanes    = 2
	DefaultMessages = 4096
	DefaultBytes    = 8 << 20
	DefaultMessage  = 1 << 20
)

func (o *Options) defaults() {
	if o.Lanes <= 0 {
		o.Lanes = DefaultLanes
	}
	if o.Messages <= 0 {
		o.Messages = DefaultMessages
	}
	if o.Bytes <= 0 {
		o.Bytes = DefaultBytes
	}
	if o.Message <= 0 {
		o.Message = DefaultMessage
	}
	if o.Queue <= 0 {
		o.Queue = 1024
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.Observer == nil {
		o.Observer = unobserved{}
	}
}

type unobserved struct{}

func (unobserved) PackWaited(float64)   {}
func (unobserved) PackDone(string)      {}
func (unobserved) PackTaken(int, int64) {}
func (unobserved) PackSplit(int, error) {}

// Batcher stores small messages in packs, as group commit does. An idle worker takes
// all messages that wait, up to the limits. While others are busy it waits a moment for
// a pack that is large enough (ShouldSend). At low load a message leaves at once.
type Batcher struct {
	options      Options
	line         Line
	waitingBytes atomic.Int64
	spares       chan struct{} // a value for each spare request that is free
	writer       func(n int) Writer
	workers      sync.WaitGroup

	busy     atomic.Int64 // workers with a request
	inFlight atomic.Int64 // messages in these requests
	latency  latencyFloor
}

// Start starts a Batcher with a worker for each lane. writer returns the Writer of the
// n-th worker.
func Start(o Options, writer func(n int) Writer) *Batcher {
	o.defaults()
	b := &Batcher{
		options: o, line: o.Line,
		spares: make(chan struct{}, o.Lanes), writer: writer,
	}
	if b.line == nil {
		b.line = newChannelLine(o.Queue)
	}
	for n := range o.Lanes {
		b.spares <- struct{}{}
		b.startWorker(n, nil)
	}
	return b
}

// startWorker starts the n-th worker. One with a spare request ends when stop is closed;
// for the others stop is nil.
func (b *Batcher) startWorker(n int, stop <-chan struct{}) {
	w := &batchWorker{batcher: b, writer: b.writer(n), pack: New(), stop: stop}
	if b.options.Spawn != nil {
		b.options.Spawn(w.run)
		return
	}
	b.workers.Go(func() {
		panics.Keep(panics.Pack, w.run)
		if stop != nil {
			b.ReturnSpare()
		}
	})
}

// Accepts reports whether m may share an object: it is small and was not begun in
// parts. A nil Batcher accepts nothing.
func (b *Batcher) Accepts(m *pipeline.Message) bool {
	return b != nil && m.Parts.Upload == nil && b.options.Fits(m.Length())
}

// Put queues m and reports whether the queue had room. It never blocks.
func (b *Batcher) Put(m *pipeline.Message) bool {
	size := m.Length()
	b.waitingBytes.Add(size)
	if !b.line.Put(Waiting{m, b.line.Now()}) {
		b.waitingBytes.Add(-size)
		return false
	}
	return true
}

// WaitingBytes returns the bytes of the messages that wait for a worker.
func (b *Batcher) WaitingBytes() int64 { return b.waitingBytes.Load() }

// Lanes returns the number of workers.
func (b *Batcher) Lanes() int { return b.options.Lanes }

// Busy returns the number of workers that are storing a pack.
func (b *Batcher) Busy() int64 { return b.busy.Load() }

// Close stores all that waits and then ends the workers. Put must not be called after
// it. A nil Batcher has nothing to close.
func (b *Batcher) Close() {
	if b == nil {
		return
	}
	b.line.Close()
	b.workers.Wait()
}

package kafka

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// producer is the client that events go by, and in time its successors.
//
// An event whose time is over leaves a hole in the request in which it waits for
// a connection: a batch without records. A broker (Apache Kafka 4.3.1) never
// answers such a request, and what is behind it on the connection waits for the
// request's own time limit: a broker that had been stopped for 60 s took events
// again 20 s after its return. So when an event's time was over the next ones go by
// a fresh client, and the old one is left until its own have ended. A client also
// keeps the limit of a batch that it was made with, so another limit needs another.
type producer struct {
	options     []kgo.Opt
	compression func() kgo.Opt
	drain       func() (context.Context, context.CancelFunc) // bounds how long an old client is left

	mu       sync.Mutex // of changes of client
	client   atomic.Pointer[kgo.Client]
	batch    int32 // the most octets of a batch of the present client
	closed   bool
	replaced chan *kgo.Client // and not closed yet
}

func newProducer(options []kgo.Opt, compression func() kgo.Opt, batch int32) (*producer, error) {
	p := &producer{options: options, compression: compression, batch: batch, replaced: make(chan *kgo.Client, 16)}
	client, err := p.make(batch)
	if err != nil {
		return nil, err
	}
	p.client.Store(client)
	return p, nil
}

// make makes a client whose batches have at most so many octets. It connects to
// nobody yet.
func (p *producer) make(batch int32) (*kgo.Client, error) {
	options := append(p.options[:len(p.options):len(p.options)], p.compression(), kgo.ProducerBatchMaxBytes(batch))
	return kgo.NewClient(options...)
}

// produce hands a record to the client, without blocking. Its promise comes once,
// with the client that it went by.
func (p *producer) produce(ctx context.Context, r *kgo.Record, promise func(by *kgo.Client, err error)) {
	client := p.client.Load()
	client.TryProduce(ctx, r, func(_ *kgo.Record, err error) {
		if errors.Is(err, kgo.ErrRecordTimeout) {
			p.change(client) // before anybody can know and publish again
		}
		promise(client, err)
	})
}

// renew sees to the end of clients that were replaced, until ctx ends. It returns
// when all clients but the present one are closed.
func (p *producer) renew(ctx context.Context) {
	var old sync.WaitGroup
	defer old.Wait()
	for {
		select {
		case client := <-p.replaced:
			old.Go(func() {
				bounded, cancel := p.drain()
				defer cancel()
				_ = client.Flush(bounded) // what it leaves is failed by Close
				client.Close()
			})
		case <-ctx.Done():
			return
		}
	}
}

// change puts a fresh client in the place of one that had an overdue event, unless
// another has it already.
func (p *producer) change(overdue *kgo.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if overdue == p.client.Load() {
		p.replace(p.batch)
	}
}

// resize makes batches have at most so many octets from now on.
func (p *producer) resize(batch int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if batch != p.batch {
		p.replace(batch)
	}
}

// halve halves the batches of a client of whose batches one was too large, unless
// that was done or they are as small as they may be.
func (p *producer) halve(by *kgo.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if by == p.client.Load() && p.batch > leastBatch {
		p.replace(max(leastBatch, p.batch/2))
	}
}

// batchLimit returns the most octets of a batch.
func (p *producer) batchLimit() int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.batch
}

// replace puts a fresh client in the place of the present one. p.mu is held.
func (p *producer) replace(batch int32) {
	if p.closed || len(p.replaced) == cap(p.replaced) {
		return
	}
	fresh, err := p.make(batch)
	if err != nil {
		return // the same options made the first
	}
	p.batch = batch
	p.replaced <- p.client.Swap(fresh)
}

// close fails what the clients still have. There is none afterwards.
func (p *producer) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.client.Load().Close()
	for {
		select {
		case client := <-p.replaced:
			client.Close()
		default:
			return
		}
	}
}

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
// a fresh client, and the old one is left until its own have ended.
type producer struct {
	options []kgo.Opt
	drain   func() (context.Context, context.CancelFunc) // bounds how long an old client is left

	mu       sync.Mutex // of changes of client
	client   atomic.Pointer[kgo.Client]
	closed   bool
	replaced chan *kgo.Client // and not closed yet
}

func newProducer(options []kgo.Opt) (*producer, error) {
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	p := &producer{options: options, replaced: make(chan *kgo.Client, 16)}
	p.client.Store(client)
	return p, nil
}

// produce hands a record to the client, without blocking. Its promise comes once.
func (p *producer) produce(ctx context.Context, r *kgo.Record, promise func(error)) {
	client := p.client.Load()
	client.TryProduce(ctx, r, func(_ *kgo.Record, err error) {
		if errors.Is(err, kgo.ErrRecordTimeout) {
			p.change(client) // before anybody can know and publish again
		}
		promise(err)
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
	if p.closed || overdue != p.client.Load() || len(p.replaced) == cap(p.replaced) {
		return
	}
	fresh, err := kgo.NewClient(p.options...) // it connects to nobody yet
	if err != nil {
		return // the same options made the first
	}
	p.client.Store(fresh)
	p.replaced <- overdue
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

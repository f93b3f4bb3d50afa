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

	mu      sync.Mutex // of changes of client
	client  atomic.Pointer[kgo.Client]
	closed  bool
	overdue chan *kgo.Client
}

func newProducer(options []kgo.Opt) (*producer, error) {
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	p := &producer{options: options, overdue: make(chan *kgo.Client, 1)}
	p.client.Store(client)
	return p, nil
}

// produce hands a record to the client, without blocking. Its promise comes once.
func (p *producer) produce(ctx context.Context, r *kgo.Record, promise func(error)) {
	client := p.client.Load()
	client.TryProduce(ctx, r, func(_ *kgo.Record, err error) {
		if errors.Is(err, kgo.ErrRecordTimeout) {
			select {
			case p.overdue <- client:
			default: // one is enough
			}
		}
		promise(err)
	})
}

// renew changes the client whenever an event of the present one was overdue,
// until ctx ends. It returns when all clients but the present one are closed.
func (p *producer) renew(ctx context.Context) {
	var old sync.WaitGroup
	defer old.Wait()
	for {
		select {
		case client := <-p.overdue:
			if client != p.client.Load() || !p.change() {
				continue
			}
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

// change puts a fresh client in the place of the present one, and says whether it
// could.
func (p *producer) change() bool {
	fresh, err := kgo.NewClient(p.options...)
	if err != nil {
		return false // the same options made the first
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		fresh.Close()
		return false
	}
	p.client.Store(fresh)
	return true
}

// close fails what the present client still has. There is no other afterwards.
func (p *producer) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.client.Load().Close()
}

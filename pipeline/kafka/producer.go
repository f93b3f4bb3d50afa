package kafka

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/internal/panics"
)

// producer publishes through one client at a time and replaces the client after a record
// timeout, and while nothing is published.
//
// A record that times out while its request waits for a connection leaves a batch without
// records in that request. A broker (Apache Kafka 4.3.1) never answers it. The requests
// after it on the connection wait until it times out, long after the broker is back
// (docs/decisions.md, A fresh client after an overdue event). So later records go through
// a new client, and the old one stays open until its own records are done. A client never
// takes the new id of a topic that was deleted and made again, so one whose every record
// fails is replaced as well. It also has a fixed batch limit, so another limit needs
// another client.
type producer struct {
	options     []kgo.Opt
	compression func() kgo.Opt
	// drain returns a context that bounds how long a replaced client stays open.
	drain func() (context.Context, context.CancelFunc)
	// report is Options.ClientReplaced.
	report func(cause string)

	// passing is held for reading while an event is passed to client. No promise takes it:
	// TryProduce may wait for promises.
	passing sync.RWMutex

	mu       sync.Mutex // guards what follows, and the replacement of client
	client   atomic.Pointer[kgo.Client]
	batch    int32 // batch limit of the current client, in bytes
	closed   bool
	replaced chan *kgo.Client // replaced clients that are still open

	// When the first of the failures came that no success has followed, or the current
	// client began, if that was later; and how long the client is kept from then.
	failingSince time.Time
	failingLimit time.Duration
	failing      atomic.Bool // whether failingSince is set; written under mu
}

const (
	// A client whose records all fail is replaced after this time. It doubles with each
	// fresh client that fails as well.
	minFailing = time.Second
	maxFailing = 4 * time.Second
)

// Causes for which a client is replaced.
const (
	causeFailing   = "failing"    // all its events failed for some time
	causeOverdue   = "overdue"    // one of its events had no answer in time
	causeTopicAnew = "topic_anew" // the topic was made again
	// CauseSize is for another limit of a batch's size: that of the topic changed, or is
	// not known and was too high.
	CauseSize = "size"
)

// ReplaceCauses returns the causes for which a client is replaced.
func ReplaceCauses() []string { return []string{causeFailing, causeOverdue, causeTopicAnew, CauseSize} }

func newProducer(options []kgo.Opt, compression func() kgo.Opt, batch int32) (*producer, error) {
	p := &producer{
		options: options, compression: compression, batch: batch,
		replaced: make(chan *kgo.Client, 16), report: func(string) {},
	}
	client, err := p.newClient(batch)
	if err != nil {
		return nil, err
	}
	p.client.Store(client)
	return p, nil
}

// newClient returns a client with this batch limit. It does not connect yet.
func (p *producer) newClient(batch int32) (*kgo.Client, error) {
	options := p.options[:len(p.options):len(p.options)]
	options = append(options, p.compression(), kgo.ProducerBatchMaxBytes(batch))
	return kgo.NewClient(options...)
}

// produce passes a record to the client. It never blocks. promise is called once, with
// the client that was used.
func (p *producer) produce(
	ctx context.Context, r *kgo.Record, promise func(by *kgo.Client, err error),
) {
	p.passing.RLock()
	defer p.passing.RUnlock()
	client := p.client.Load()
	client.TryProduce(ctx, r, func(_ *kgo.Record, err error) {
		defer panics.Recover(panics.Publish, nil) // the goroutine is the client's
		// Before promise, after which anyone can publish again.
		switch {
		case err == nil:
			p.succeeded()
		case overdue(err):
			p.replaceOverdue(client)
		case ctx.Err() == nil && !tooLarge(err):
			p.failed(client)
		}
		promise(client, err)
	})
}

// awaitPassing waits until a client that was replaced has the events that were about to be
// passed to it. Flush would not know of them, and Close would fail them.
func (p *producer) awaitPassing() {
	p.passing.Lock()
	defer p.passing.Unlock()
}

// overdue reports whether an event failed because no broker answered in time.
func overdue(err error) bool {
	return errors.Is(err, kgo.ErrRecordTimeout) || errors.Is(err, errSilent)
}

// succeeded ends a run of failures.
func (p *producer) succeeded() {
	if !p.failing.Load() { // the usual way takes no lock
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failingSince = time.Time{}
	p.failing.Store(false)
}

// failed replaces a client when its records have failed for some time and none has
// succeeded.
func (p *producer) failed(client *kgo.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch now := time.Now(); {
	case client != p.client.Load(): // of a client that was replaced
	case p.failingSince.IsZero():
		p.failingSince, p.failingLimit = now, minFailing
		p.failing.Store(true)
	case now.Sub(p.failingSince) >= p.failingLimit:
		p.replace(p.batch, causeFailing)
		p.failingSince, p.failingLimit = now, min(2*p.failingLimit, maxFailing)
	}
}

// closeReplaced closes replaced clients once their records are done, until ctx ends. It
// returns when all of them are closed.
func (p *producer) closeReplaced(ctx context.Context) {
	var old sync.WaitGroup
	defer old.Wait()
	for {
		select {
		case client := <-p.replaced:
			old.Go(func() {
				defer panics.Recover(panics.Log, nil)
				bounded, cancel := p.drain()
				defer cancel()
				p.awaitPassing()
				_ = client.Flush(bounded) // Close fails what remains
				client.Close()
			})
		case <-ctx.Done():
			return
		}
	}
}

// replaceOverdue replaces a client that had an overdue record, unless that was done.
func (p *producer) replaceOverdue(overdue *kgo.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if overdue == p.client.Load() {
		p.replace(p.batch, causeOverdue)
	}
}

// renew replaces the client after the topic was made again.
func (p *producer) renew() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replace(p.batch, causeTopicAnew)
}

// resize sets the batch limit.
func (p *producer) resize(batch int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if batch != p.batch {
		p.replace(batch, CauseSize)
	}
}

// halveBatch halves the batch limit after a batch of the client by was too large. It does
// nothing when the client was replaced since, or the limit is minBatch.
func (p *producer) halveBatch(by *kgo.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if by == p.client.Load() && p.batch > minBatch {
		p.replace(max(minBatch, p.batch/2), CauseSize)
	}
}

// batchLimit returns the batch limit in bytes.
func (p *producer) batchLimit() int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.batch
}

// replace replaces the current client by one with this batch limit, and reports why. p.mu
// must be held.
func (p *producer) replace(batch int32, cause string) {
	if p.closed || len(p.replaced) == cap(p.replaced) {
		return
	}
	fresh, err := p.newClient(batch)
	if err != nil {
		return // the same options made the first
	}
	p.batch = batch
	p.replaced <- p.client.Swap(fresh)
	p.report(cause)
}

// close closes all clients, which fails the records that they still have.
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

package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/internal/panics"
	"sluice/pipeline"
)

const (
	// defaultBatch is the batch limit while that of the topic is not known. It is the
	// client's default, and a little less than the broker's.
	defaultBatch = 1_000_012
	// minBatch is where halving ends when the limit of the topic cannot be read. An event
	// with a few recipients still fits, and larger ones are published alone.
	minBatch = 4 << 10
	// maxBatch keeps a request within the broker's socket.request.max.bytes, 100 MiB.
	maxBatch = 64 << 20
	// minClientBatch is the smallest batch limit that the client accepts.
	minClientBatch = 512

	// batchOverhead is the size of a batch of one record without its key, value and
	// headers. It has 61 bytes for the batch, 48 for the lengths of the record's fields,
	// and 64 that a broker may add when it compresses the batch anew (compression.type of
	// the topic).
	batchOverhead = 61 + 48 + 64

	// singlePublishers is the number of goroutines that publish events of refused
	// batches. Each has a client of its own.
	singlePublishers = 4
)

// EventLimit implements pipeline.BoundedLog.
func (l *Log) EventLimit() int64 {
	limit := l.limit.Load()
	if limit <= 0 {
		return 0
	}
	return max(1, min(limit, maxBatch)-batchOverhead)
}

// setLimit sets the size in bytes of the largest batch that the topic takes; 0 means
// unknown.
func (l *Log) setLimit(limit int64) {
	before := l.limit.Swap(limit)
	switch {
	case limit > 0:
		l.events.resize(int32(min(max(limit, minClientBatch), maxBatch)))
	case before > 0: // otherwise batches may have been halved since
		l.events.resize(defaultBatch)
	}
}

// tooLarge reports whether the client or a broker refused a batch that is larger than
// max.message.bytes or segment.bytes of the topic.
func tooLarge(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge)
}

// fits reports whether the topic should take an event alone. Brokers that refuse it as too
// large have other settings than they say, or new ones, and would refuse all mail for good.
// Where the limit may not be read, an event that a few recipients can make fits.
func (l *Log) fits(r *kgo.Record) bool {
	limit := l.EventLimit()
	if limit == 0 {
		limit = minBatch - batchOverhead
	}
	return recordSize(r) <= limit
}

// event is a message that is being published.
type event struct {
	message *pipeline.Message
	record  *kgo.Record
	since   time.Time
	by      *kgo.Client // the client whose batch was refused
}

// position returns the place that the client has noted in the record of an event, which it
// does once that was published.
func (e *event) position() pipeline.Position {
	return pipeline.Position{Topic: e.record.Topic, Partition: e.record.Partition, Offset: e.record.Offset}
}

// onProduced delivers the result of an event. If its batch was refused as too large, the
// event is published alone instead, so that it does not fail because of its neighbours.
func (l *Log) onProduced(e event, err error) {
	if err != nil {
		select {
		case l.refresh <- struct{}{}: // the topic may have changed
		default:
		}
	}
	if !tooLarge(err) {
		l.deliver(e.message, e.position(), l.outcome(e, err))
		return
	}
	if l.ctx.Err() != nil { // whether it would be refused alone is not known
		l.refuse(e.message, errClosed)
		return
	}
	select {
	case l.refused <- e:
	default:
		l.refuse(e.message, errQueueFull)
	}
}

// publishSingles publishes events of refused batches one after another, until the log is
// closed. It has a client of its own, so events of several such goroutines never share a
// batch.
func (l *Log) publishSingles() {
	var client *kgo.Client
	defer func() {
		if client != nil {
			client.Close()
		}
	}()
	for e := range l.refused {
		var err error
		if client == nil {
			client, err = l.events.newClient(maxBatch)
		}
		if err == nil {
			err = panics.Try(panics.Publish, func() error { return l.publishOne(client, &e) })
		}
		if err != nil && !tooLarge(err) && client != nil {
			client.Close() // it may have left a batch without records: see producer
			client = nil
		}
		fits := recordSize(e.record)+batchOverhead <= int64(l.events.batchLimit())
		if err == nil && l.limit.Load() == 0 && fits {
			l.events.halveBatch(e.by)
		}
		l.deliver(e.message, e.position(), l.outcome(e, err))
	}
}

// publishOne publishes one event and waits for the result.
func (l *Log) publishOne(client *kgo.Client, e *event) error {
	if time.Since(e.since) > l.options.Timeout {
		return context.DeadlineExceeded
	}
	result := make(chan error, 1)
	// A copy: the first record may still be part of a request that is being written.
	e.record = &kgo.Record{Key: e.record.Key, Value: e.record.Value, Headers: e.record.Headers}
	client.TryProduce(l.ctx, e.record, func(_ *kgo.Record, err error) { result <- err })
	select {
	case err := <-result:
		return err
	case <-l.ctx.Done():
		client.Close() // fails it
		return <-result
	}
}

// recordSize returns the size in bytes that pipeline.Message.EventBound bounds.
func recordSize(r *kgo.Record) int64 {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return int64(n)
}

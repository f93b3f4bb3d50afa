package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/pipeline"
)

const (
	// unknownBatch is the most octets of a batch while the topic's limit is not
	// known: the client's own default, a little less than the broker's.
	unknownBatch = 1_000_012
	// leastBatch is where halving ends when the limit cannot be read: an event of a
	// few recipients still fits, and larger ones go alone.
	leastBatch = 4 << 10
	// mostBatch keeps a request within what a broker reads as one
	// (socket.request.max.bytes, 100 MiB).
	mostBatch = 64 << 20
	// clientBatch is the least that the client takes for a batch.
	clientBatch = 512

	// batchFrame is what a batch of one record has beside its key, its value and
	// the headers: 61 octets of its own, the lengths of the record's fields, and
	// what a broker may add that compresses it anew (compression.type of the topic).
	batchFrame = 61 + 48 + 64

	// singles is how many events whose batch was refused are published at the same
	// time, each by a client that has no other.
	singles = 4
)

// EventLimit implements pipeline.BoundedLog.
func (l *Log) EventLimit() int64 {
	limit := l.limit.Load()
	if limit <= 0 {
		return 0
	}
	return max(1, min(limit, mostBatch)-batchFrame)
}

// setLimit takes the most octets of a batch that the topic takes, 0 for not known.
func (l *Log) setLimit(octets int64) {
	was := l.limit.Swap(octets)
	switch {
	case octets > 0:
		l.events.resize(int32(min(max(octets, clientBatch), mostBatch)))
	case was > 0: // else batches may have been halved since
		l.events.resize(unknownBatch)
	}
}

// tooLarge reports whether an error is the word of the client or of a broker that a
// batch is larger than the topic (max.message.bytes) or its files (segment.bytes) take.
func tooLarge(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge)
}

// event is a message on its way into the log.
type event struct {
	message *pipeline.Message
	record  *kgo.Record
	since   time.Time
	by      *kgo.Client // whose batch was refused
}

// settle answers a message, unless its batch was refused as too large: then its
// event is published alone, so that it does not fail for its neighbours.
func (l *Log) settle(e event, err error) {
	if !tooLarge(err) {
		l.answer(e.message, delivery(err))
		return
	}
	if l.ctx.Err() != nil { // that it would be refused alone is not known
		l.answer(e.message, fail("publish", errClosed))
		return
	}
	select {
	case l.again <- struct{}{}: // the limit may be another now
	default:
	}
	select {
	case l.refused <- e:
	default:
		l.answer(e.message, fail("publish", errQueueFull))
	}
}

// publishSingly publishes events whose batch was refused, one after the other, until
// the log is closed. With several of them at work at the same time none shares a
// batch, because each has a client of its own.
func (l *Log) publishSingly() {
	var client *kgo.Client
	defer func() {
		if client != nil {
			client.Close()
		}
	}()
	for e := range l.refused {
		var err error
		if client == nil {
			client, err = l.events.make(mostBatch)
		}
		if err == nil {
			err = l.single(client, e)
		}
		if err != nil && !tooLarge(err) && client != nil { // it may have left a hole: see producer
			client.Close()
			client = nil
		}
		if err == nil && l.limit.Load() == 0 && size(e.record)+batchFrame <= int64(l.events.batchLimit()) {
			l.events.halve(e.by)
		}
		l.answer(e.message, delivery(err))
	}
}

// single publishes one event and waits for the result.
func (l *Log) single(client *kgo.Client, e event) error {
	if time.Since(e.since) > l.options.Timeout {
		return context.DeadlineExceeded
	}
	result := make(chan error, 1)
	// The first record may still be in a request that is being written.
	record := &kgo.Record{Key: e.record.Key, Value: e.record.Value, Headers: e.record.Headers}
	client.TryProduce(l.ctx, record, func(_ *kgo.Record, err error) { result <- err })
	select {
	case err := <-result:
		return err
	case <-l.ctx.Done():
		client.Close() // fails it
		return <-result
	}
}

// size returns the octets that pipeline.Message.EventBound bounds.
func size(r *kgo.Record) int64 {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return int64(n)
}

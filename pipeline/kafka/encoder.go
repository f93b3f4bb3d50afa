package kafka

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/internal/panics"
	"sluice/pipeline"
)

// encode encodes messages as records and passes them to the client, until the queue is
// closed.
func (l *Log) encode() {
	var headers []pipeline.EventHeader
	var records []*kgo.Record
	c := newCollector(l.queue, l.options.Linger)
	for batch := c.next(); len(batch) > 0; batch = c.next() {
		records = records[:0]
		now := time.Now()
		encoded := batch[:0]
		for _, m := range batch {
			var r *kgo.Record
			err := panics.Try(panics.Publish, func() error {
				headers = pipeline.AppendEventHeaders(headers[:0], m)
				r = record(m, headers)
				return nil
			})
			if err != nil {
				l.refuse(m, err)
				continue
			}
			encoded, records = append(encoded, m), append(records, r)
		}
		// Without a gap: the client sends what it has as one request.
		for i, m := range encoded {
			r := records[i]
			l.events.produce(l.ctx, r, func(by *kgo.Client, err error) {
				l.onProduced(event{message: m, record: r, since: now, by: by}, err)
			})
		}
		clear(records)
	}
}

// maxCollected is the number of events that do not wait for more.
const maxCollected = 256

// collector takes messages that come close together from a queue in batches. It lingers
// only when messages follow each other, so a lone message is not delayed.
type collector struct {
	queue    <-chan *pipeline.Message
	linger   time.Duration
	timer    *time.Timer
	lastCame time.Time // when the last message came
	batch    []*pipeline.Message
}

func newCollector(queue <-chan *pipeline.Message, linger time.Duration) *collector {
	c := &collector{queue: queue, linger: linger, timer: time.NewTimer(0)}
	c.timer.Stop()
	return c
}

// next waits for a message and returns it with all that wait. When the previous message
// came less than linger ago, it waits that long for more. It returns none once the queue
// is closed. The slice is valid until the next call.
func (c *collector) next() []*pipeline.Message {
	c.batch = c.batch[:0]
	m, open := <-c.queue
	if !open {
		return nil
	}
	c.batch = append(c.batch, m)
	now := time.Now()
	alone := now.Sub(c.lastCame) >= c.linger
	c.lastCame = now
	c.addWaiting()
	if alone {
		return c.batch
	}
	c.timer.Reset(c.linger)
	defer c.timer.Stop()
	for len(c.batch) < maxCollected {
		select {
		case m, open := <-c.queue:
			if !open {
				return c.batch
			}
			c.batch = append(c.batch, m)
		case <-c.timer.C:
			c.lastCame = time.Now()
			return c.batch
		}
	}
	c.lastCame = time.Now()
	return c.batch
}

// addWaiting adds the messages that are in the queue.
func (c *collector) addWaiting() {
	for len(c.batch) < maxCollected {
		select {
		case m, open := <-c.queue:
			if !open {
				return
			}
			c.batch = append(c.batch, m)
		default:
			return
		}
	}
}

// valueSize is the initial capacity of an event, which is enough for a few recipients.
const valueSize = 1 << 10

// record encodes m. The client owns the buffers from now on. They are not reused: even a
// failed record may still be part of a request that is being written.
func record(m *pipeline.Message, headers []pipeline.EventHeader) *kgo.Record {
	r := &kgo.Record{
		Key:     m.ID.Append(make([]byte, 0, 36)),
		Value:   pipeline.AppendEvent(make([]byte, 0, valueSize), m),
		Headers: make([]kgo.RecordHeader, len(headers)),
	}
	for i, h := range headers {
		r.Headers[i] = kgo.RecordHeader{Key: h.Key, Value: h.Value}
	}
	return r
}

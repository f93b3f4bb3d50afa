package kafka

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/pipeline"
)

// encode makes records of messages and gives them to the client.
func (l *Log) encode() {
	var headers []pipeline.EventHeader
	var records []*kgo.Record
	g := newGathering(l.queue, l.options.Linger)
	for batch := g.next(); len(batch) > 0; batch = g.next() {
		records = records[:0]
		now := time.Now()
		for _, m := range batch {
			headers = pipeline.AppendEventHeaders(headers[:0], m)
			records = append(records, record(m, headers))
		}
		// One right behind the other: the client makes a request of what it has.
		for i, m := range batch {
			r := records[i]
			l.events.produce(l.ctx, r, func(by *kgo.Client, err error) {
				l.settle(event{message: m, record: r, since: now, by: by}, err)
			})
		}
		clear(records)
	}
}

// enough events need not wait for more.
const enough = 256

// gathering takes messages from a queue together that come together.
type gathering struct {
	queue  <-chan *pipeline.Message
	linger time.Duration
	timer  *time.Timer
	last   time.Time // a message came
	batch  []*pipeline.Message
}

func newGathering(queue <-chan *pipeline.Message, linger time.Duration) *gathering {
	g := &gathering{queue: queue, linger: linger, timer: time.NewTimer(0)}
	g.timer.Stop()
	return g
}

// next waits for a message, takes what is there with it, and when another came just
// before, waits a moment for more. It gives none when the queue is closed. The
// result is good until next.
func (g *gathering) next() []*pipeline.Message {
	g.batch = g.batch[:0]
	m, open := <-g.queue
	if !open {
		return nil
	}
	g.batch = append(g.batch, m)
	now := time.Now()
	alone := now.Sub(g.last) >= g.linger
	g.last = now
	g.takeWaiting()
	if alone {
		return g.batch
	}
	g.timer.Reset(g.linger)
	defer g.timer.Stop()
	for len(g.batch) < enough {
		select {
		case m, open := <-g.queue:
			if !open {
				return g.batch
			}
			g.batch = append(g.batch, m)
		case <-g.timer.C:
			g.last = time.Now()
			return g.batch
		}
	}
	g.last = time.Now()
	return g.batch
}

// takeWaiting adds what is in the queue.
func (g *gathering) takeWaiting() {
	for len(g.batch) < enough {
		select {
		case m, open := <-g.queue:
			if !open {
				return
			}
			g.batch = append(g.batch, m)
		default:
			return
		}
	}
}

// valueSize is a guess at an event's size that is right for few recipients.
const valueSize = 1 << 10

// record encodes a message. Its buffers belong to the client from here on and
// are not used again: a failed record may still be in a request being written.
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

// Package kafka is the event log on a Kafka topic.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/pipeline"
	"sluice/pipeline/inflight"
)

// Log is an EventLog on a topic.
type Log struct {
	options Options
	events  *producer
	dialer  *dialer

	queue   chan *pipeline.Message
	refused chan event    // their batch was too large
	limit   atomic.Int64  // the most octets of a batch that the topic takes, 0: not known
	again   chan struct{} // a hint to look at the topic

	publishes *inflight.Tracker // from Publish until the result

	background sync.WaitGroup // the encoder, singles, the change of clients and the look at the topic
	ctx        context.Context
	cancel     context.CancelFunc
	topic      atomic.Pointer[TopicInfo]
}

var _ pipeline.BoundedLog = (*Log)(nil)

// Open connects to a topic. A topic that is not there, or that we may not write,
// credentials that are refused and certificates that are not to be believed are
// errors; brokers that cannot be reached are not: until they are, every Publish
// fails.
func Open(ctx context.Context, o Options) (*Log, error) {
	o.defaults()
	if len(o.Brokers) == 0 || o.Topic == "" {
		return nil, errors.New("kafka: brokers and topic are needed")
	}
	l := &Log{
		options:   o,
		queue:     make(chan *pipeline.Message, o.Queue),
		refused:   make(chan event, o.Queue),
		again:     make(chan struct{}, 1),
		publishes: inflight.New(),
	}
	if err := l.connect(); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	if err := l.look(ctx); err != nil {
		l.cancel()
		l.events.close()
		return nil, fmt.Errorf("kafka: topic %s: %w", o.Topic, err)
	}
	l.events.drain = func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(l.ctx, 2*o.Timeout)
	}
	l.background.Go(l.encode)
	l.background.Go(func() { l.events.renew(l.ctx) })
	l.background.Go(l.watchTopic)
	for range singles {
		l.background.Go(l.publishSingly)
	}
	return l, nil
}

// connect makes the client; it dials when it is first asked something.
func (l *Log) connect() error {
	connecting, dialer, err := l.options.connecting(l.options.Timeout / 3)
	if err != nil {
		return err
	}
	compression, err := l.options.compression()
	if err != nil {
		return err
	}
	l.dialer = dialer
	l.events, err = newProducer(append(connecting, l.options.producing()...), compression, unknownBatch)
	return err
}

var (
	errQueueFull = errors.New("queue full")
	errClosed    = errors.New("log closed")
)

// Publish hands a message to the encoder.
func (l *Log) Publish(m *pipeline.Message) {
	if !l.publishes.Begin() {
		l.answer(m, fail("publish", errClosed))
		return
	}
	select {
	case l.queue <- m:
	default:
		l.answer(m, fail("publish", errQueueFull))
	}
}

func (l *Log) answer(m *pipeline.Message, err error) {
	m.Published(err)
	l.publishes.Done(1)
}

// delivery gives the client's error its kind. Nothing is permanent but the size of an
// event that was published alone: what else a broker refuses today an operator can
// allow tomorrow, and the sender keeps the message until then.
func delivery(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kgo.ErrRecordTimeout), errors.Is(err, context.DeadlineExceeded):
		return &pipeline.Failure{Kind: pipeline.KindTimeout, Op: "kafka: produce", Err: err}
	case tooLarge(err):
		return &pipeline.Failure{Kind: pipeline.KindEventTooLarge, Op: "kafka: produce", Err: err}
	default:
		return fail("produce", err)
	}
}

func fail(op string, err error) error {
	return &pipeline.Failure{Kind: pipeline.KindTemporary, Op: "kafka: " + op, Err: err}
}

// Depth gives the events under way.
func (l *Log) Depth() int64 { return l.publishes.Depth() }

// Close waits, at most CloseTimeout, for the events under way and fails the
// rest. A later Publish fails. All results have come when it returns.
func (l *Log) Close() error {
	if !l.publishes.Close() {
		return nil
	}
	abort := func() {
		l.cancel()       // fails what is in the encoder's queue or the client's buffer
		l.events.close() // fails the rest
	}
	var err error
	if left := l.publishes.Drain(l.options.CloseTimeout, abort); left > 0 {
		err = fmt.Errorf("kafka: closed with %d events unanswered", left)
	}
	close(l.queue)
	close(l.refused)
	l.background.Wait()
	return err
}

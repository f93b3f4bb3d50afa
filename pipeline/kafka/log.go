// Package kafka is the event log on a Kafka topic.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/internal/panics"
	"sluice/pipeline"
	"sluice/pipeline/inflight"
)

// Log is an EventLog on a topic.
type Log struct {
	options Options
	events  *producer
	dialer  *dialer
	brokers *brokers

	queue   chan *pipeline.Message
	refused chan event    // events whose batch was too large
	limit   atomic.Int64  // bytes of the largest batch that the topic takes; 0: unknown
	refresh chan struct{} // wakes refreshTopic

	publishes *inflight.Tracker // from Publish until the result
	uncertain uncertain

	background sync.WaitGroup // encode, publishSingles, closeReplaced and refreshTopic
	ctx        context.Context
	cancel     context.CancelFunc
	topic      atomic.Pointer[TopicInfo]
	topicID    kadm.TopicID            // for readTopic
	leaders    atomic.Pointer[[]int32] // node id of each partition's leader
}

var _ pipeline.BoundedLog = (*Log)(nil)

// Open connects to a topic. It returns an error when the topic is missing or may not be
// written, the credentials are refused, or a certificate cannot be verified. It returns
// none when no broker can be reached: every Publish fails until one can.
func Open(ctx context.Context, o Options) (*Log, error) {
	o.defaults()
	if len(o.Brokers) == 0 || o.Topic == "" {
		return nil, errors.New("kafka: brokers and topic are needed")
	}
	l := &Log{
		options:   o,
		queue:     make(chan *pipeline.Message, o.Queue),
		refused:   make(chan event, o.Queue),
		refresh:   make(chan struct{}, 1),
		publishes: inflight.New(),
	}
	if err := l.connect(); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	if err := l.readTopic(ctx); err != nil {
		l.cancel()
		l.events.close()
		return nil, fmt.Errorf("kafka: topic %s: %w", o.Topic, err)
	}
	l.events.drain = func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(l.ctx, 2*o.Timeout)
	}
	if o.ClientReplaced != nil { // not before: readTopic sets the first size
		l.events.report = o.ClientReplaced
	}
	l.background.Go(func() { panics.Keep(panics.Publish, l.encode) })
	l.background.Go(func() {
		panics.Keep(panics.Log, func() { l.events.closeReplaced(l.ctx) })
	})
	l.background.Go(func() { panics.Keep(panics.Log, l.refreshTopic) })
	for range singlePublishers {
		l.background.Go(func() { panics.Keep(panics.Publish, l.publishSingles) })
	}
	return l, nil
}

// connect creates the client, which dials at its first request.
func (l *Log) connect() error {
	options, dialer, err := l.options.clientOptions(l.options.Timeout / 3)
	if err != nil {
		return err
	}
	compression, err := l.options.compressionOption()
	if err != nil {
		return err
	}
	l.dialer = dialer
	l.brokers = newBrokers(l.options.BrokerChanged)
	dialer.brokers = l.brokers
	options = append(options, kgo.WithHooks(l.brokers))
	options = append(options, l.options.producerOptions(partitioner{l.leaderAnswers})...)
	l.uncertain.hold = l.options.produceHold()
	options = append(options, kgo.WithHooks(&l.uncertain))
	l.events, err = newProducer(options, compression, defaultBatch)
	return err
}

var (
	errQueueFull = errors.New("queue full")
	errClosed    = errors.New("log closed")
)

// Publish implements pipeline.EventLog.
func (l *Log) Publish(m *pipeline.Message) {
	if !l.publishes.Begin() {
		l.refuse(m, errClosed)
		return
	}
	if err := l.usable(); err != nil {
		l.refuse(m, err)
		return
	}
	select {
	case l.queue <- m:
	default:
		l.refuse(m, errQueueFull)
	}
}

// usable returns why no event can become durable, or nil.
func (l *Log) usable() error {
	if l.options.Durable == nil {
		return nil
	}
	return l.options.Durable.Usable()
}

// refuse gives the failure of a message whose event was not sent.
func (l *Log) refuse(m *pipeline.Message, err error) {
	l.deliver(m, pipeline.Position{}, unsent(err))
}

// deliver gives the result of a message, once its event is durable if it has no error.
func (l *Log) deliver(m *pipeline.Message, at pipeline.Position, err error) {
	if err == nil && l.options.Durable != nil {
		l.options.Durable.Confirm(func(err error) {
			if err != nil {
				err = fail("confirm", err)
			}
			l.answer(m, at, err)
		})
		return
	}
	l.answer(m, at, err)
}

func (l *Log) answer(m *pipeline.Message, at pipeline.Position, err error) {
	m.Published(at, err)
	l.publishes.Done(1)
}

// classify returns an error of the client as a pipeline.Failure with a kind. Only the
// size of an event that was published alone is a permanent failure (see Log.fits). An operator can
// change what else a broker refuses, and the sender keeps the message until then.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case overdue(err), errors.Is(err, context.DeadlineExceeded):
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

// Brokers returns the brokers that the log has talked to, in the order of their ids.
func (l *Log) Brokers() []BrokerState { return l.brokers.states() }

// Depth returns the number of events without a result.
func (l *Log) Depth() int64 { return l.publishes.Depth() }

// Close waits at most CloseTimeout for the events in flight and then fails the others. A
// later Publish fails. All results have been delivered when it returns.
func (l *Log) Close() error {
	if !l.publishes.Close() {
		return nil
	}
	abort := func() {
		l.cancel()       // fails what is in the queue or the client's buffer
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

package kafka

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Options configures a Log. Zero numbers take the defaults.
type Options struct {
	// Brokers are the addresses of the bootstrap brokers, host:port.
	Brokers []string
	// Topic receives the events. It must exist, unless CreateTopic is set.
	Topic string
	// TLS configures TLS to the brokers. Nil means plain TCP.
	TLS *TLS
	// SASL configures authentication to the brokers. Nil means none.
	SASL *SASL
	// CreateTopic creates a missing topic. Nil leaves that to an operator.
	CreateTopic *CreateTopic
	// Compression of batches is one of Compressions. The default is snappy, as for the
	// client. lz4 was the fastest and the cheapest (docs/measurements.md, Kafka).
	Compression string
	// Linger is how long an event waits for others to share its batch. Only an event
	// that follows another within that time waits. The default is 0: events gather only
	// while requests are in flight.
	Linger time.Duration
	// ClientID is the client id of this producer. The default is "sluice".
	ClientID string
	// Queue is the number of events that may be in flight. The default is 8192. The next
	// one fails with KindTemporary.
	Queue int
	// Timeout bounds how long the client tries to deliver an event. The default is 30 s.
	// With a broker that swallows requests it may take some seconds longer.
	Timeout time.Duration
	// CloseTimeout bounds how long Close waits for events in flight. The default is 10 s.
	CloseTimeout time.Duration
	// Dial opens connections to brokers. Nil means TCP.
	Dial func(ctx context.Context, network, host string) (net.Conn, error)
	// Found is called with the topic as soon as its settings are known, and again after
	// they have changed. Open calls it, or another goroutine when no broker could be
	// reached then. It may be nil.
	Found func(TopicInfo)
	// BrokerChanged is called when a broker stops to answer, and when it answers again. It
	// must not block. It may be nil.
	BrokerChanged func(BrokerState)
	// ClientReplaced is called when an open Log publishes by a fresh client from now on,
	// with one of ReplaceCauses. It must neither block nor use the Log. It may be nil.
	ClientReplaced func(cause string)
	// RefreshInterval is the time after which the settings of the topic are read again.
	// The default is 15 s. A failed event makes it sooner.
	RefreshInterval time.Duration
	// Durable makes acknowledged events durable, for a broker that does not do so before
	// it acknowledges. Nil is for all others.
	Durable Durable
}

// Durable makes events durable that a broker has acknowledged.
type Durable interface {
	// Usable returns why no event can become durable, or nil. It never blocks.
	Usable() error
	// Confirm calls done once all events that were acknowledged until now are durable, or
	// with the reason why they are not. It never blocks.
	Confirm(done func(error))
	// Refusal returns why the broker last refused an event that it could not write, of
	// which nothing stays, and when, or nil. An event that was in flight at that time may
	// be acknowledged and not there. Refusal never blocks.
	Refusal() (at time.Time, why error)
}

// CreateTopic holds the settings of a topic that is created.
type CreateTopic struct {
	Partitions  int
	Replication int // copies of each partition, each on another broker
}

// minInsync returns min.insync.replicas: how many copies must have an event before it is
// acknowledged. One broker may be missing, and an event is on two if there are two.
func (c CreateTopic) minInsync() int { return max(1, c.Replication-1) }

// Compressions returns the valid values of Options.Compression.
func Compressions() []string { return []string{"none", "gzip", "snappy", "lz4", "zstd"} }

var codecs = []func() kgo.CompressionCodec{
	kgo.NoCompression, kgo.GzipCompression, kgo.SnappyCompression, kgo.Lz4Compression, kgo.ZstdCompression,
}

func (o *Options) defaults() {
	if o.Compression == "" {
		o.Compression = "snappy"
	}
	if o.ClientID == "" {
		o.ClientID = "sluice"
	}
	if o.Queue <= 0 {
		o.Queue = 8192
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.RefreshInterval <= 0 {
		o.RefreshInterval = 15 * time.Second
	}
	if o.CloseTimeout <= 0 {
		o.CloseTimeout = 10 * time.Second
	}
}

// clientOptions returns the options that every client of these brokers has, and its
// dialer. timeout bounds the setup of one connection.
func (o Options) clientOptions(timeout time.Duration) ([]kgo.Opt, *dialer, error) {
	d := &dialer{plain: o.Dial, timeout: timeout}
	if d.plain == nil {
		d.plain = (&net.Dialer{}).DialContext
	}
	var err error
	if d.tls, err = o.TLS.config(); err != nil {
		return nil, nil, err
	}
	opts := []kgo.Opt{kgo.SeedBrokers(o.Brokers...), kgo.ClientID(o.ClientID), kgo.Dialer(d.dial)}
	proving, err := o.SASL.options()
	if err != nil {
		return nil, nil, err
	}
	return append(opts, proving...), d, nil
}

// producerOptions returns the options of a producer that has a partitioner. It is
// idempotent, which is the client's default, and acknowledged by all in-sync replicas.
func (o Options) producerOptions(p partitioner) []kgo.Opt {
	return []kgo.Opt{
		kgo.DefaultProduceTopicAlways(),
		kgo.DefaultProduceTopic(o.Topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(0), // the collector lingers, but not for a lone event
		kgo.RecordPartitioner(p),
		kgo.MaxBufferedRecords(o.Queue),
		kgo.RecordDeliveryTimeout(o.Timeout),
		kgo.ProduceRequestTimeout(o.produceHold()),
		kgo.RequestTimeoutOverhead(o.Timeout / 3),
		kgo.RetryTimeout(o.Timeout),
		kgo.RetryBackoffFn(backoff),
		// A new topic or a new leader must be found sooner than with the client's default
		// of 2.5 s.
		kgo.MetadataMinAge(min(o.Timeout/4, 500*time.Millisecond)),
		// Without this option an event that was sent and never answered has no deadline.
		// Its price is that a failed event may be in the log after all. Its sender got
		// 451 and sends again, under another id.
		kgo.AllowIdempotentProduceCancellation(),
	}
}

// produceHold returns how long a leader may hold a produce request until its followers have
// the events.
func (o Options) produceHold() time.Duration { return min(o.Timeout/3, produceHold) }

// compressionOption returns a function that returns the option for the compression of
// batches. Each client needs an option of its own: kgo.NewClient sorts its content.
func (o Options) compressionOption() (func() kgo.Opt, error) {
	i := slices.Index(Compressions(), o.Compression)
	if i < 0 {
		return nil, fmt.Errorf("unknown compression %q", o.Compression)
	}
	return func() kgo.Opt { return kgo.ProducerBatchCompression(codecs[i]()) }, nil
}

// backoff returns the wait before the next attempt, at most a second. With the client's
// default of 5 s a log would be silent long after its brokers are back.
func backoff(tries int) time.Duration {
	wait := min(time.Second, 100*time.Millisecond<<min(tries, 8))
	return wait/2 + rand.N(wait/2+1) // a fleet must not retry in step
}

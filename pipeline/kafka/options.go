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

// Options of a log. The zero value of a number takes the default.
type Options struct {
	// Brokers are the addresses, host:port, that the client begins with.
	Brokers []string
	// Topic that events go to. It must be there, unless CreateTopic is set.
	Topic string
	// TLS is how brokers are spoken to; nil for plain TCP.
	TLS *TLS
	// SASL is who we are to the brokers; nil for nobody.
	SASL *SASL
	// CreateTopic makes a topic that is not there; nil leaves that to an operator.
	CreateTopic *CreateTopic
	// Compression of batches is one of Compressions, default snappy, the client's own.
	// lz4 was the fastest and the cheapest (docs/measurements.md, Kafka).
	Compression string
	// Linger is how long an event waits for others to share its batch, default 0.
	// Only one that follows another within that time waits: what comes alone goes
	// at once. With 0 events gather only while requests are under way.
	Linger time.Duration
	// ClientID names this producer to the brokers, default "sluice".
	ClientID string
	// Queue is the number of events that may be under way, default 8192. One
	// more is a temporary failure.
	Queue int
	// Timeout bounds how long the client tries to deliver an event, default 30 s.
	// A broker that swallows requests may take it some seconds longer.
	Timeout time.Duration
	// CloseTimeout bounds how long Close waits for events under way, default 10 s.
	CloseTimeout time.Duration
	// Dial makes connections to brokers; nil for TCP.
	Dial func(ctx context.Context, network, host string) (net.Conn, error)
	// Found is told of the topic as soon as its settings are known, by Open or from
	// another goroutine when no broker could be reached then, and again when they
	// have become others. Nil when nobody asks.
	Found func(TopicInfo)
	// LookEvery is the time between two looks at the topic's settings, default 15 s.
	// A refusal that may come of them makes the next one sooner.
	LookEvery time.Duration
}

// CreateTopic says what a topic that is made shall be.
type CreateTopic struct {
	Partitions  int
	Replication int // copies of each partition, each on another broker
}

// minInsync is how many copies must have an event before it is acknowledged:
// one broker may be missing, and never is an event on one alone when there could
// be two.
func (c CreateTopic) minInsync() int { return max(1, c.Replication-1) }

// Compressions are the names that Options take.
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
	if o.LookEvery <= 0 {
		o.LookEvery = 15 * time.Second
	}
	if o.CloseTimeout <= 0 {
		o.CloseTimeout = 10 * time.Second
	}
}

// connecting is what every client of these brokers has in common. timeout
// bounds the making of one connection.
func (o Options) connecting(timeout time.Duration) ([]kgo.Opt, *dialer, error) {
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

// uniformBytes go to one partition before another has its turn.
const uniformBytes = 64 << 10

// producing says how: acknowledged by all in-sync replicas and idempotent, the
// client's default.
func (o Options) producing() []kgo.Opt {
	return []kgo.Opt{
		kgo.DefaultProduceTopicAlways(),
		kgo.DefaultProduceTopic(o.Topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(0), // Log.encode lingers, and not for what comes alone
		// All of one moment go to one partition, in one batch, and to none that is
		// behind. The key is unique to each event: to spread by it orders nothing.
		kgo.RecordPartitioner(kgo.UniformBytesPartitioner(uniformBytes, true, false, nil)),
		kgo.MaxBufferedRecords(o.Queue),
		kgo.RecordDeliveryTimeout(o.Timeout),
		kgo.ProduceRequestTimeout(o.Timeout / 3),
		kgo.RequestTimeoutOverhead(o.Timeout / 3),
		kgo.RetryTimeout(o.Timeout),
		kgo.RetryBackoffFn(backoff),
		// A topic that was just made, or a leader that has moved, must be found
		// sooner than by the client's own 2.5 s.
		kgo.MetadataMinAge(min(o.Timeout/4, 500*time.Millisecond)),
		// Without this an event that was sent and never answered has no time limit
		// at all. Its price is that an event reported as failed may yet be in the
		// log: then its sender had 451 and sends again, under another id.
		kgo.AllowIdempotentProduceCancellation(),
	}
}

// compression returns what makes the option of the batches' compression. Clients must
// not share one: a client that is made sorts what stands in it.
func (o Options) compression() (func() kgo.Opt, error) {
	i := slices.Index(Compressions(), o.Compression)
	if i < 0 {
		return nil, fmt.Errorf("unknown compression %q", o.Compression)
	}
	return func() kgo.Opt { return kgo.ProducerBatchCompression(codecs[i]()) }, nil
}

// backoff is how long the client waits before it tries again: at most a second,
// where its own 5 s would leave a log silent long after its brokers are back.
func backoff(tries int) time.Duration {
	wait := min(time.Second, 100*time.Millisecond<<min(tries, 8))
	return wait/2 + rand.N(wait/2+1) // a fleet must not come back in step
}

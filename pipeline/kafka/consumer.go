package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/internal/panics"
	"sluice/pipeline"
)

// ConsumerOptions configures a Consumer.
type ConsumerOptions struct {
	Options
	Group string
	// SessionTimeout is how long the group waits for a member that is silent. The default
	// is 45 s.
	SessionTimeout time.Duration
	// Lost is told how many records were deleted before the group had read them. It must
	// not block. It may be nil, as Logger may.
	Lost   func(records int64)
	Logger *slog.Logger
}

// Consumer is a member of a consumer group. It begins at the start of the topic where the
// group has committed nothing. It goes on by itself after whatever becomes of brokers,
// group and topic. Its methods are safe for concurrent use; one goroutine may call Poll.
type Consumer struct {
	options ConsumerOptions
	member  atomic.Pointer[member]

	mu         sync.Mutex // guards what follows, and the replacement of member
	closed     bool
	topicID    kadm.TopicID
	unreadable error     // why the topic cannot be read, as of the last look at it
	failing    time.Time // since when polls and commits have failed; zero after a success

	background sync.WaitGroup
	ctx        context.Context
	cancel     context.CancelFunc
}

const (
	// pollWait is the longest time that Poll waits.
	pollWait = time.Second
	// A client that has only errors for replaceAfter is replaced, although brokers answer.
	replaceAfter = 30 * time.Second
	// watchInterval is the time between two looks at the topic.
	watchInterval = 5 * time.Second
	// fetchBytes bounds what a client has fetched and nobody has polled.
	fetchBytes = 8 << 20
)

// NewConsumer returns a member of a group. It connects by itself, and waits for brokers
// and for the topic as long as it takes.
func NewConsumer(o ConsumerOptions) (*Consumer, error) {
	o.defaults()
	if o.SessionTimeout <= 0 {
		o.SessionTimeout = 45 * time.Second
	}
	if o.Lost == nil {
		o.Lost = func(int64) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if len(o.Brokers) == 0 || o.Topic == "" || o.Group == "" {
		return nil, errors.New("kafka: brokers, topic and group are needed")
	}
	c := &Consumer{options: o}
	m, err := c.join()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	c.member.Store(m)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.background.Go(func() { panics.Keep(panics.Index, c.watch) })
	return c, nil
}

// leaveTimeout bounds how long a member takes leave of brokers that do not answer.
const leaveTimeout = 3 * time.Second

// Close leaves the group. If no broker answers, the group notices later that the member
// is gone.
func (c *Consumer) Close() error {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	c.mu.Unlock()
	if !closed {
		c.cancel()
		c.background.Wait()
		left := make(chan struct{})
		go func() {
			defer panics.Recover(panics.Index, nil)
			defer close(left)
			c.member.Load().client.Close() // a broker that is silent keeps it for a minute
		}()
		select {
		case <-left:
		case <-time.After(leaveTimeout):
		}
	}
	return nil
}

// Poll waits for records and returns at most most of them, in order by partition. It
// returns none when ctx ends, or after some seconds. An error says that the topic cannot
// be read.
func (c *Consumer) Poll(ctx context.Context, most int) ([]pipeline.Record, error) {
	m := c.member.Load()
	bounded, cancel := context.WithTimeout(ctx, pollWait)
	defer cancel()
	fetches := m.client.PollRecords(bounded, most)
	records := m.take(fetches)
	c.report(m, records)
	if len(records) > 0 {
		c.succeeded()
		return records, nil
	}
	var err error
	for _, e := range fetches.Errors() {
		var loss *kgo.ErrDataLoss
		switch {
		case errors.Is(e.Err, context.DeadlineExceeded), errors.Is(e.Err, context.Canceled):
		case errors.Is(e.Err, kgo.ErrClientClosed):
			if m == c.member.Load() {
				return nil, errors.New("kafka: the consumer is closed")
			}
		case errors.As(e.Err, &loss):
			c.options.Logger.Error("events were lost in the topic before they were read",
				"topic", c.options.Topic, "partition", e.Partition, "error", e.Err)
		default:
			err = fmt.Errorf("kafka: partition %d: %w", e.Partition, e.Err)
		}
	}
	c.mu.Lock()
	if err == nil && c.unreadable != nil {
		err = fmt.Errorf("kafka: topic %s: %w", c.options.Topic, c.unreadable)
	}
	c.mu.Unlock()
	if err != nil {
		c.failed(m)
	}
	return nil, err
}

// report reports records that were deleted before the group has read them, if m has found
// some missing before these.
func (c *Consumer) report(m *member, records []pipeline.Record) {
	for _, gap := range m.gaps(records) {
		ctx, cancel := context.WithTimeout(c.ctx, readTopicTimeout)
		starts, err := kadm.NewClient(m.client).ListStartOffsets(ctx, c.options.Topic)
		cancel()
		start, ok := starts.Lookup(c.options.Topic, gap.partition)
		// A topic may have gaps that are not: what is compacted, or ends a transaction.
		if lost := min(start.Offset, gap.to) - gap.from; err == nil && ok && start.Err == nil && lost > 0 {
			c.options.Lost(lost)
			c.options.Logger.Error("events were deleted from the topic before the group has read them: its retention is too short",
				"topic", c.options.Topic, "group", c.options.Group, "partition", gap.partition, "events", lost)
		}
	}
}

// Commit notes that the group is done with these records, and with those before them in
// their partitions. It ignores partitions that the member does not have any more: their
// records come again, to whoever has them.
func (c *Consumer) Commit(ctx context.Context, done []pipeline.Record) error {
	var err error
	for attempt := range commitAttempts {
		m := c.member.Load()
		if err = m.commit(ctx, done); err == nil {
			c.succeeded()
			return nil
		}
		if ctx.Err() != nil {
			break
		}
		c.failed(m)
		select { // a rebalance may be going on
		case <-ctx.Done():
		case <-time.After(backoff(attempt)):
		}
	}
	return fmt.Errorf("kafka: commit: %w", err)
}

const commitAttempts = 5

func (c *Consumer) succeeded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failing = time.Time{}
}

// failed replaces a member that has had only errors for long, although brokers answer.
func (c *Consumer) failed(m *member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch now := time.Now(); {
	case m != c.member.Load():
	case c.failing.IsZero():
		c.failing = now
	case now.Sub(c.failing) > replaceAfter && c.unreadable == nil:
		c.failing = time.Time{}
		c.replace()
	}
}

// replace lets a fresh client take the place of the current one. c.mu must be held.
func (c *Consumer) replace() {
	fresh, err := c.join()
	if err != nil || c.closed {
		return // the same options made the first
	}
	old := c.member.Swap(fresh)
	c.background.Go(func() {
		defer panics.Recover(panics.Index, nil)
		old.client.Close()
	})
}

// watch looks at the topic now and then. A client never takes the new id of one that was
// deleted and made again.
func (c *Consumer) watch() {
	interval := min(watchInterval, c.options.RefreshInterval)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for c.ctx.Err() == nil {
		c.look()
		select {
		case <-c.ctx.Done():
		case <-ticker.C:
		}
	}
}

func (c *Consumer) look() {
	ctx, cancel := context.WithTimeout(c.ctx, readTopicTimeout)
	defer cancel()
	response, err := metadata(ctx, c.member.Load().client, c.options.Topic)
	var id kadm.TopicID
	if err == nil && len(response.Topics) == 1 {
		id, err = response.Topics[0].TopicID, kerr.ErrorForCode(response.Topics[0].ErrorCode)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unreadable = err; err != nil || id == (kadm.TopicID{}) {
		return
	}
	if c.topicID != id && c.topicID != (kadm.TopicID{}) {
		c.replace()
	}
	c.topicID = id
}

// Newest returns the last record of each partition, as far as they can be read within some
// seconds.
func (c *Consumer) Newest(ctx context.Context) ([]pipeline.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, readTopicTimeout)
	defer cancel()
	opts, _, err := c.options.clientOptions(readTopicTimeout)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	starts, err := listed(admin.ListStartOffsets(ctx, c.options.Topic))
	if err != nil {
		return nil, err
	}
	ends, err := listed(admin.ListEndOffsets(ctx, c.options.Topic))
	if err != nil {
		return nil, err
	}
	at := map[int32]kgo.Offset{}
	ends.Each(func(end kadm.ListedOffset) {
		if start, _ := starts.Lookup(c.options.Topic, end.Partition); start.Offset < end.Offset {
			at[end.Partition] = kgo.NewOffset().At(end.Offset - 1)
		}
	})
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{c.options.Topic: at})
	newest := map[int32]pipeline.Record{}
	for len(newest) < len(at) && ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) { newest[r.Partition] = pipelineRecord(r) })
	}
	var records []pipeline.Record
	for _, r := range newest {
		records = append(records, r)
	}
	return records, nil
}

// pipelineRecord returns a record of the client, whose bytes it shares.
func pipelineRecord(r *kgo.Record) pipeline.Record {
	headers := make([]pipeline.EventHeader, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = pipeline.EventHeader{Key: h.Key, Value: h.Value}
	}
	return pipeline.Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		Key: r.Key, Value: r.Value, Headers: headers, Timestamp: r.Timestamp,
	}
}

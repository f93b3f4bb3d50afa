package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/pipeline"
)

// DeadLetterTopic returns the topic of the records of another that cannot be indexed.
func DeadLetterTopic(topic string) string { return topic + ".dlq" }

// deadLetterGroup returns the group whose offset says up to where the dead letters of an
// indexer's group were replayed.
func deadLetterGroup(group string) string { return group + ".dlq" }

// The headers of a dead letter beside those of its record.
const (
	dlqPrefix    = "sluice-dlq-"
	dlqReason    = dlqPrefix + "reason"
	dlqTopic     = dlqPrefix + "topic"
	dlqPartition = dlqPrefix + "partition"
	dlqOffset    = dlqPrefix + "offset"
	dlqTime      = dlqPrefix + "time"     // when it became one
	dlqCut       = dlqPrefix + "cut"      // the size of its value, of which not all is there
	dlqReplayed  = dlqPrefix + "replayed" // how often it was: it stays in the topic
)

// DeadLetters are the records of a topic that cannot be indexed, in a topic beside it. It
// is safe for concurrent use.
type DeadLetters struct {
	options Options
	group   string // of the indexer
	topic   string

	mu     sync.Mutex // guards client, and is held by those who use it
	client *kgo.Client
	exists bool
}

// NewDeadLetters returns the dead letters of a topic and of the group that reads it. It
// does not connect yet. Put creates their topic if it is missing.
func NewDeadLetters(o Options, group string) *DeadLetters {
	o.defaults()
	return &DeadLetters{options: o, group: group, topic: DeadLetterTopic(o.Topic)}
}

// Close closes the connections.
func (d *DeadLetters) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget()
}

// forget drops a client that may not know a topic which was made again.
func (d *DeadLetters) forget() {
	if d.client != nil {
		d.client.Close()
	}
	d.client, d.exists = nil, false
}

// connect makes the client. d.mu must be held.
func (d *DeadLetters) connect() error {
	if d.client != nil {
		return nil
	}
	opts, _, err := d.options.clientOptions(d.options.Timeout / 3)
	if err != nil {
		return err
	}
	d.client, err = kgo.NewClient(append(opts,
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchMaxBytes(maxBatch),
		kgo.RecordDeliveryTimeout(d.options.Timeout),
		kgo.RetryTimeout(d.options.Timeout),
		kgo.AllowIdempotentProduceCancellation(),
		kgo.RetryBackoffFn(backoff),
		kgo.MetadataMinAge(500*time.Millisecond),
	)...)
	return err
}

// Put keeps records, each with the reason why it cannot be indexed. A record that the
// topic does not take as a whole is cut, so that it cannot be in the way for good. After an
// error some of them may be kept.
func (d *DeadLetters) Put(ctx context.Context, records []pipeline.Record, reasons []string) error {
	return d.produce(ctx, func() error {
		size := make(map[*kgo.Record]int, len(records)) // of the value, by its letter
		letters := make([]*kgo.Record, len(records))
		for n, r := range records {
			letters[n] = deadLetter(d.topic, r, reasons[n])
			size[letters[n]] = len(r.Value)
		}
		for _, result := range d.client.ProduceSync(ctx, letters...) {
			err := result.Err
			if tooLarge(err) { // it, or those in one batch with it
				err = d.putAlone(ctx, result.Record, size[result.Record])
			}
			if err != nil {
				return err
			}
		}
		return d.confirm(ctx)
	})
}

// putAlone publishes a letter by itself, and shorter until it is taken. size is that of the
// whole value.
func (d *DeadLetters) putAlone(ctx context.Context, letter *kgo.Record, size int) error {
	for {
		alone := &kgo.Record{Topic: letter.Topic, Key: letter.Key, Value: letter.Value, Headers: letter.Headers}
		err := d.client.ProduceSync(ctx, alone).FirstErr()
		if err == nil || !tooLarge(err) || !shorten(letter, size) {
			return err
		}
	}
}

// confirm waits until what was published is durable.
func (d *DeadLetters) confirm(ctx context.Context) error {
	if d.options.Durable == nil {
		return nil
	}
	done := make(chan error, 1)
	d.options.Durable.Confirm(func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// produce connects, makes sure that the topic exists and calls do, with d.mu held.
func (d *DeadLetters) produce(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, d.options.Timeout)
	defer cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.connect()
	if err == nil {
		err = d.create(ctx)
	}
	if err == nil {
		err = do()
	}
	if err != nil {
		d.forget()
		return fmt.Errorf("kafka: topic %s: %w", d.topic, err)
	}
	return nil
}

// maxReason bounds the reason in a header, in bytes.
const maxReason = 1000

// deadLetter returns the record of the dead letters for another one.
func deadLetter(topic string, r pipeline.Record, reason string) *kgo.Record {
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	letter := &kgo.Record{Topic: topic, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		if h.Key == dlqReplayed || !strings.HasPrefix(h.Key, dlqPrefix) {
			letter.Headers = append(letter.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
	}
	add := func(key, value string) {
		letter.Headers = append(letter.Headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
	}
	add(dlqReason, reason)
	add(dlqTopic, r.Topic)
	add(dlqPartition, strconv.Itoa(int(r.Partition)))
	add(dlqOffset, strconv.FormatInt(r.Offset, 10))
	add(dlqTime, time.Now().UTC().Format(time.RFC3339Nano))
	return letter
}

// shorten halves the value of a letter, and at last drops its other headers and its key.
// It reports whether there was something left to shorten.
func shorten(letter *kgo.Record, size int) bool {
	ours := func(h kgo.RecordHeader) bool { return !strings.HasPrefix(h.Key, dlqPrefix) }
	switch {
	case len(letter.Value) > 0:
		letter.Value = letter.Value[:len(letter.Value)/2]
	case slices.ContainsFunc(letter.Headers, ours):
		letter.Headers = slices.DeleteFunc(slices.Clone(letter.Headers), ours)
	case len(letter.Key) > 0:
		letter.Key = nil
	default:
		return false
	}
	if header(letter.Headers, dlqCut) == "" {
		letter.Headers = append(letter.Headers, kgo.RecordHeader{Key: dlqCut, Value: []byte(strconv.Itoa(size))})
	}
	*letter = kgo.Record{Topic: letter.Topic, Key: letter.Key, Value: letter.Value, Headers: letter.Headers}
	return true
}

func header(headers []kgo.RecordHeader, key string) string {
	for _, h := range headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// dlqBytes bounds the topic, which has no other retention: the oldest letters are deleted
// first.
const dlqBytes = 1 << 30

// dlqRoom is how much larger a letter may be than its record.
const dlqRoom = 64 << 10

// create creates the topic if it is missing, with as many copies as the other has.
func (d *DeadLetters) create(ctx context.Context) error {
	if d.exists {
		return nil
	}
	admin := kadm.NewClient(d.client)
	topics, err := admin.ListTopics(ctx, d.topic, d.options.Topic)
	if err != nil {
		return err
	}
	if err := topics[d.topic].Err; !errors.Is(err, kerr.UnknownTopicOrPartition) {
		d.exists = err == nil
		return err
	}
	of := topics[d.options.Topic]
	if of.Err != nil {
		return of.Err
	}
	want := CreateTopic{Partitions: 1, Replication: max(1, of.Partitions.NumReplicas())}
	largest := int64(1 << 20)
	if configs, err := topicConfigs(ctx, admin, d.options.Topic); err == nil {
		largest = max(largest, setting(configs, maxMessageKey))
	}
	text := func(n int64) *string { s := strconv.FormatInt(n, 10); return &s }
	_, err = admin.CreateTopic(ctx, 1, int16(want.Replication), map[string]*string{
		minInsyncKey: text(int64(want.minInsync())), maxMessageKey: text(largest + dlqRoom),
		"retention.ms": text(-1), "retention.bytes": text(dlqBytes),
		segmentKey: text(max(dlqBytes/16, largest+dlqRoom)),
	}, d.topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("create: %w", err)
	}
	d.exists = true
	return nil
}

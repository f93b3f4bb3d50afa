package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/pipeline"
)

// DeadLetter is a record that could not be indexed.
type DeadLetter struct {
	// Record is the record itself, with the place that it had in its topic.
	Record pipeline.Record
	Reason string
	// At is when it became a dead letter.
	At time.Time
	// Replayed is how often it was replayed before.
	Replayed int
	// Cut is whether it is not whole: it was too large. Such a letter is not replayed.
	Cut bool

	record *kgo.Record
}

// Each calls each with every dead letter that was not replayed, in their order. It stops
// at the first error and returns it.
func (d *DeadLetters) Each(ctx context.Context, each func(*DeadLetter) error) error {
	client, err := d.reader()
	if err != nil {
		return err
	}
	defer client.Close()
	return d.read(ctx, client, each)
}

// Replay publishes the dead letters to their topic again, in their order, and returns how
// many. each is called before each one, and may refuse it: then it stays, and is skipped.
// Letters that are skipped, or cut, are behind the group's offset afterwards, and are
// listed no more; the topic has them until its retention.
func (d *DeadLetters) Replay(ctx context.Context, each func(*DeadLetter) bool) (replayed int, err error) {
	client, err := d.reader()
	if err != nil {
		return 0, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	err = d.read(ctx, client, func(l *DeadLetter) error {
		if !l.Cut && each(l) {
			if err := client.ProduceSync(ctx, l.again(d.options.Topic)).FirstErr(); err != nil {
				return fmt.Errorf("kafka: topic %s: %w", d.options.Topic, err)
			}
			replayed++
		}
		done := kadm.Offsets{}
		done.AddOffset(d.topic, l.record.Partition, l.record.Offset+1, -1)
		if err := admin.CommitAllOffsets(ctx, deadLetterGroup(d.group), done); err != nil {
			return fmt.Errorf("kafka: group %s: %w", deadLetterGroup(d.group), err)
		}
		return nil
	})
	return replayed, err
}

// again returns the record with which a letter is replayed.
func (l *DeadLetter) again(topic string) *kgo.Record {
	r := &kgo.Record{Topic: topic, Key: l.Record.Key, Value: l.Record.Value}
	for _, h := range l.Record.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	r.Headers = append(r.Headers, kgo.RecordHeader{Key: dlqReplayed, Value: []byte(strconv.Itoa(l.Replayed + 1))})
	return r
}

// reader returns a client that reads the letters, and publishes.
func (d *DeadLetters) reader() (*kgo.Client, error) {
	opts, _, err := d.options.clientOptions(d.options.Timeout / 3)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	client, err := kgo.NewClient(append(opts,
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchMaxBytes(maxBatch),
		kgo.RecordDeliveryTimeout(d.options.Timeout),
		kgo.RetryTimeout(d.options.Timeout),
	)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return client, nil
}

// read calls each with the letters between the group's offset and the end of the topic. A
// missing topic has none.
func (d *DeadLetters) read(ctx context.Context, client *kgo.Client, each func(*DeadLetter) error) error {
	admin := kadm.NewClient(client)
	topics, err := admin.ListTopics(ctx, d.topic)
	if err != nil {
		return fmt.Errorf("kafka: topic %s: %w", d.topic, err)
	}
	if errors.Is(topics[d.topic].Err, kerr.UnknownTopicOrPartition) {
		return nil
	}
	r := &Reader{options: d.options, topic: d.topic}
	starts, err := r.listOffsets(ctx, admin.ListStartOffsets)
	if err != nil {
		return err
	}
	ends, err := r.listOffsets(ctx, admin.ListEndOffsets)
	if err != nil {
		return err
	}
	commits, err := admin.FetchOffsets(ctx, deadLetterGroup(d.group))
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return fmt.Errorf("kafka: group %s: %w", deadLetterGroup(d.group), err)
	}
	at, left := map[int32]kgo.Offset{}, map[int32]int64{}
	for partition, end := range ends[d.topic] {
		begin := starts[d.topic][partition].Offset
		if c, ok := commits.Lookup(d.topic, partition); ok && c.Err == nil && c.At <= end.Offset {
			begin = max(begin, c.At) // a commit behind the end is of a topic that was made anew
		}
		if begin < end.Offset {
			at[partition], left[partition] = kgo.NewOffset().At(begin), end.Offset
		}
	}
	if len(at) == 0 {
		return nil
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{d.topic: at})
	return readRecords(ctx, client, left, func(r *kgo.Record) error { return each(parseLetter(r)) })
}

// parseLetter returns the letter that a record of the topic is. What its headers do not
// say is zero.
func parseLetter(r *kgo.Record) *DeadLetter {
	l := &DeadLetter{record: r, Record: pipelineRecord(r), Reason: header(r.Headers, dlqReason)}
	l.Record.Topic = header(r.Headers, dlqTopic)
	partition, _ := strconv.ParseInt(header(r.Headers, dlqPartition), 10, 32)
	l.Record.Partition = int32(partition)
	l.Record.Offset, _ = strconv.ParseInt(header(r.Headers, dlqOffset), 10, 64)
	l.At, _ = time.Parse(time.RFC3339Nano, header(r.Headers, dlqTime))
	l.Replayed, _ = strconv.Atoi(header(r.Headers, dlqReplayed))
	l.Cut = header(r.Headers, dlqCut) != ""
	l.Record.Headers = l.Record.Headers[:0]
	for _, h := range r.Headers {
		if !strings.HasPrefix(h.Key, dlqPrefix) {
			l.Record.Headers = append(l.Record.Headers, pipeline.EventHeader{Key: h.Key, Value: h.Value})
		}
	}
	return l
}

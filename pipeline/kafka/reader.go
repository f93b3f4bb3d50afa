package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/pipeline"
)

// Reader reads a whole topic, for an audit. It joins no group and commits no offset.
type Reader struct {
	options Options
	topic   string
}

// NewReader returns a reader of the topic that o names. It does not connect yet.
func NewReader(o Options) *Reader {
	o.defaults()
	return &Reader{options: o, topic: o.Topic}
}

// Read calls each with every record that is in the topic now, in order within a partition.
// Records that arrive meanwhile may be missing. It stops at the first error and returns it.
// each may keep key, value and the values of headers, and not the slice of headers.
func (r *Reader) Read(
	ctx context.Context, each func(key, value []byte, headers []pipeline.EventHeader) error,
) error {
	opts, _, err := r.options.clientOptions(r.options.Timeout / 3)
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	starts, err := r.listOffsets(ctx, admin.ListStartOffsets)
	if err != nil {
		return err
	}
	ends, err := r.listOffsets(ctx, admin.ListEndOffsets)
	if err != nil {
		return err
	}
	at, left := map[int32]kgo.Offset{}, map[int32]int64{}
	ends.Each(func(end kadm.ListedOffset) {
		start, _ := starts.Lookup(r.topic, end.Partition)
		if start.Offset < end.Offset {
			at[end.Partition] = kgo.NewOffset().At(start.Offset)
			left[end.Partition] = end.Offset
		}
	})
	if len(at) == 0 {
		return nil
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{r.topic: at})
	return readUpTo(ctx, client, left, each)
}

// listOffsets calls list and retries it within the timeout while the cluster elects
// leaders, as it does when brokers have just come back.
func (r *Reader) listOffsets(
	ctx context.Context, list func(context.Context, ...string) (kadm.ListedOffsets, error),
) (kadm.ListedOffsets, error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	for {
		offsets, err := listed(list(ctx, r.topic))
		if err == nil || !kerr.IsRetriable(err) {
			return offsets, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(electionPause):
		}
	}
}

// electionPause is the time between two attempts during a leader election.
const electionPause = 200 * time.Millisecond

func listed(offsets kadm.ListedOffsets, err error) (kadm.ListedOffsets, error) {
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return offsets, nil
}

// readUpTo reads each partition up to its offset in ends, and removes it from ends then.
func readUpTo(
	ctx context.Context, client *kgo.Client, ends map[int32]int64,
	each func(key, value []byte, headers []pipeline.EventHeader) error,
) error {
	var headers []pipeline.EventHeader
	return readRecords(ctx, client, ends, func(r *kgo.Record) error {
		headers = headers[:0]
		for _, h := range r.Headers {
			headers = append(headers, pipeline.EventHeader{Key: h.Key, Value: h.Value})
		}
		return each(r.Key, r.Value, headers)
	})
}

func readRecords(
	ctx context.Context, client *kgo.Client, ends map[int32]int64, each func(*kgo.Record) error,
) error {
	for len(ends) > 0 {
		fetches := client.PollFetches(ctx)
		for _, e := range fetches.Errors() {
			return errors.Join(fmt.Errorf("kafka: partition %d", e.Partition), e.Err)
		}
		for records := fetches.RecordIter(); !records.Done(); {
			r := records.Next()
			end, ok := ends[r.Partition]
			if !ok {
				continue
			}
			if r.Offset < end {
				if err := each(r); err != nil {
					return err
				}
			}
			if r.Offset+1 >= end {
				delete(ends, r.Partition)
			}
		}
	}
	return nil
}

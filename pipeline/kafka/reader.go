package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Reader reads a whole topic, for an audit. It joins no group and commits nothing.
type Reader struct {
	options Options
	topic   string
}

// NewReader reads the topic of these options.
func NewReader(o Options) *Reader {
	o.defaults()
	return &Reader{options: o, topic: o.Topic}
}

// Read calls each with the key and value of every record that is in the topic
// now, per partition in their order, until it returns an error. What comes
// meanwhile may be missing. key and value may be kept.
func (r *Reader) Read(ctx context.Context, each func(key, value []byte) error) error {
	opts, _, err := r.options.connecting(r.options.Timeout / 3)
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	starts, err := r.settled(ctx, admin.ListStartOffsets)
	if err != nil {
		return err
	}
	ends, err := r.settled(ctx, admin.ListEndOffsets)
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
	return drain(ctx, client, left, each)
}

// settled asks for offsets again as long as the cluster is choosing leaders, which
// it does when brokers have just come back, and the timeout is not over.
func (r *Reader) settled(ctx context.Context, list func(context.Context, ...string) (kadm.ListedOffsets, error)) (kadm.ListedOffsets, error) {
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

// electionPause is how long the choice of a leader is given before it is asked
// for again.
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

// drain reads each partition up to the offset in left.
func drain(ctx context.Context, client *kgo.Client, left map[int32]int64, each func(key, value []byte) error) error {
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		for _, e := range fetches.Errors() {
			return errors.Join(fmt.Errorf("kafka: partition %d", e.Partition), e.Err)
		}
		for records := fetches.RecordIter(); !records.Done(); {
			r := records.Next()
			end, ok := left[r.Partition]
			if !ok {
				continue
			}
			if r.Offset < end {
				if err := each(r.Key, r.Value); err != nil {
					return err
				}
			}
			if r.Offset+1 >= end {
				delete(left, r.Partition)
			}
		}
	}
	return nil
}

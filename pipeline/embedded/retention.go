package embedded

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// retainInterval is the time between two runs of retention. kfake's own is an hour.
const retainInterval = time.Minute

func (b *Broker) retain(interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-b.stop:
			return
		case now := <-ticker.C:
			b.cluster.ApplyRetention() // by size
			if err := b.expire(now); err != nil {
				b.options.Logger.Warn("embedded kafka: retention", "error", err)
			}
		}
	}
}

// expire deletes the events that are older than Retention, except the newest of each
// partition. kfake's retention.ms would delete that one too. After kill -9 the offsets of
// an empty partition would begin at 0 again, below what consumers have committed. The
// reason is that kfake knows the end of a partition without segments only after an
// orderly shutdown.
func (b *Broker) expire(now time.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	admin := kadm.NewClient(b.client)
	ends, err := admin.ListEndOffsets(ctx, b.options.Topic)
	if err != nil {
		return err
	}
	since := now.Add(-b.options.Retention).UnixMilli()
	kept, err := admin.ListOffsetsAfterMilli(ctx, since, b.options.Topic)
	if err != nil {
		return err
	}
	before := kadm.Offsets{}
	kept.Each(func(o kadm.ListedOffset) {
		end, ok := ends.Lookup(o.Topic, o.Partition)
		if at := min(o.Offset, end.Offset-1); ok && o.Err == nil && at > 0 {
			before.Add(kadm.Offset{Topic: o.Topic, Partition: o.Partition, At: at})
		}
	})
	if len(before) == 0 {
		return nil
	}
	deleted, err := admin.DeleteRecords(ctx, before)
	if err != nil {
		return err
	}
	return deleted.Error()
}

// expired reports whether retention, or a client, has deleted the event at this offset.
func (b *Broker) expired(partition int32, offset int64) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	starts, err := kadm.NewClient(b.client).ListStartOffsets(ctx, b.options.Topic)
	if err != nil {
		return false, err
	}
	start, ok := starts.Lookup(b.options.Topic, partition)
	if !ok {
		return false, fmt.Errorf("no partition %d", partition)
	}
	return start.Offset > offset, start.Err
}

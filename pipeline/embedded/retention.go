package embedded

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Times between two runs of retention, whose own in kfake is an hour, and between two
// measurements of what retention would delete unread.
const (
	retainInterval  = time.Minute
	measureInterval = 2 * time.Second
)

// The rules by which retention deletes events: keys of events.embedded.
const (
	bySize = "retention_bytes"
	byAge  = "retention"
)

// deletedUnread counts the events that a rule has deleted and a group had not read.
type deletedUnread struct{ bySize, byAge atomic.Int64 }

func (d *deletedUnread) of(rule string) *atomic.Int64 {
	if rule == bySize {
		return &d.bySize
	}
	return &d.byAge
}

// DeletedUnread returns, by the rule, functions that return how many events it has deleted
// which one of Groups had not read. Each event counts once. They are safe for concurrent
// use.
func (b *Broker) DeletedUnread() map[string]func() int64 {
	return map[string]func() int64{bySize: b.deleted.bySize.Load, byAge: b.deleted.byAge.Load}
}

func (b *Broker) retain() {
	delete, measure := time.NewTicker(retainInterval), time.NewTicker(measureInterval)
	defer delete.Stop()
	defer measure.Stop()
	for {
		select {
		case <-b.stop:
			return
		case now := <-delete.C:
			if err := b.applyRetention(now); err != nil {
				b.options.Logger.Warn("embedded kafka: retention", "error", err)
			}
		case <-measure.C:
			_ = b.measure() // applyRetention asks the same and reports why that fails
		}
	}
}

// deletion is a run of a rule of which it was not reported yet what it deleted unread.
type deletion struct {
	rule    string
	readers []reader           // at the time of the deletion
	before  kadm.ListedOffsets // start offsets before it
}

// applyRetention deletes what is too much, and then what is too old. It warns of deleted
// events that were not read. It deletes nothing while it cannot know what was read.
func (b *Broker) applyRetention(now time.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	admin := kadm.NewClient(b.client)
	if err := b.reportDeletion(ctx, admin); err != nil { // of the run before
		return err
	}
	readers, err := groups(ctx, admin, b.options.Topic, b.options.Groups)
	if err != nil {
		return err
	}
	for _, rule := range []struct {
		key    string
		delete func() error
	}{
		{bySize, func() error { b.cluster.ApplyRetention(); return nil }},
		{byAge, func() error { return b.expire(ctx, admin, now) }},
	} {
		before, err := b.starts(ctx, admin)
		if err != nil {
			return err
		}
		b.unreported = &deletion{rule: rule.key, readers: readers, before: before}
		if err := rule.delete(); err != nil { // some may be deleted
			return err
		}
		if err := b.reportDeletion(ctx, admin); err != nil {
			return err
		}
	}
	return nil
}

// starts returns the start offsets of all partitions.
func (b *Broker) starts(ctx context.Context, admin *kadm.Client) (kadm.ListedOffsets, error) {
	starts, err := admin.ListStartOffsets(ctx, b.options.Topic)
	if err == nil {
		err = starts.Error()
	}
	return starts, err
}

// reportDeletion reports the deletion that was not reported yet, if any. After a failure
// it remains.
func (b *Broker) reportDeletion(ctx context.Context, admin *kadm.Client) error {
	d := b.unreported
	if d == nil {
		return nil
	}
	after, err := b.starts(ctx, admin)
	if err != nil {
		return err
	}
	b.reportUnread(d.rule, d.readers, d.before, after)
	b.unreported = nil
	return nil
}

// reportUnread warns of events that were deleted between two lists of start offsets and
// that a group has not committed, and counts them. If there is no group, nobody has
// committed any of them; that is worth a warning when they were deleted before their time.
func (b *Broker) reportUnread(key string, readers []reader, before, after kadm.ListedOffsets) {
	if len(readers) == 0 && key == bySize {
		readers = []reader{{group: "none has committed"}}
	}
	most := map[int32]int64{} // by partition: of the group that has read least of it
	for _, r := range readers {
		var unread int64
		after.Each(func(to kadm.ListedOffset) {
			if from, ok := before.Lookup(to.Topic, to.Partition); ok {
				n := r.unread(to.Partition, from.Offset, to.Offset)
				most[to.Partition] = max(most[to.Partition], n)
				unread += n
			}
		})
		if unread > 0 {
			b.options.Logger.Warn("events were deleted that a consumer group has not read",
				"group", r.group, "events", unread, "by", "events.embedded."+key)
		}
	}
	for _, n := range most {
		b.deleted.of(key).Add(n)
	}
}

// expire deletes the events that are older than Retention, except the newest of each
// partition. kfake's retention.ms would delete that one too. After kill -9 the offsets of
// an empty partition would begin at 0 again, below what consumers have committed. The
// reason is that kfake knows the end of a partition without segments only after an
// orderly shutdown.
func (b *Broker) expire(ctx context.Context, admin *kadm.Client, now time.Time) error {
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
func (b *Broker) expired(topic string, partition int32, offset int64) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	starts, err := kadm.NewClient(b.client).ListStartOffsets(ctx, topic)
	if err != nil {
		return false, err
	}
	start, ok := starts.Lookup(topic, partition)
	if !ok {
		return false, fmt.Errorf("no partition %d", partition)
	}
	return start.Offset > offset, start.Err
}

// Unread returns the part of RetentionBytes that events take which one of Groups has not
// read, of the fullest partition. At 1 the next ones are deleted unread. It is 0 without
// a limit or groups.
func (b *Broker) Unread() float64 { return math.Float64frombits(b.unread.Load()) }

// measure updates Unread.
func (b *Broker) measure() error {
	if b.options.RetentionBytes == 0 || len(b.options.Groups) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	admin := kadm.NewClient(b.client)
	readers, err := groups(ctx, admin, b.options.Topic, b.options.Groups)
	if err != nil {
		return err
	}
	ends, err := admin.ListEndOffsets(ctx, b.options.Topic)
	if err != nil {
		return err
	}
	var most int64
	for partition, end := range ends[b.options.Topic] {
		segments, err := listSegments(partitionFolder(b.options, partition), end.Offset)
		if err != nil {
			return err
		}
		for _, r := range readers {
			most = max(most, bytesFrom(segments, r.next[partition]))
		}
	}
	b.unread.Store(math.Float64bits(float64(most) / float64(partitionShare(b.options))))
	return nil
}

// segment is a file of events with the offsets [first, end).
type segment struct{ first, end, bytes int64 }

// listSegments returns the segments in the folder of a partition whose next offset is
// end.
func listSegments(folder string, end int64) ([]segment, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var all []segment
	for _, entry := range entries {
		first, ok := segmentOffset(entry.Name())
		if !ok {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			continue // retention has deleted it
		}
		all = append(all, segment{first: first, bytes: info.Size()})
	}
	slices.SortFunc(all, func(a, b segment) int { return int(a.first - b.first) })
	for i := range all {
		all[i].end = end
		if i+1 < len(all) {
			all[i].end = all[i+1].first
		}
	}
	return all, nil
}

// bytesFrom returns about how many bytes the events from offset on have.
func bytesFrom(segments []segment, offset int64) (total int64) {
	for _, s := range segments {
		switch {
		case offset <= s.first:
			total += s.bytes
		case offset < s.end:
			total += int64(float64(s.bytes) * float64(s.end-offset) / float64(s.end-s.first))
		}
	}
	return total
}

package kafka

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/pipeline"
)

// member is a client that is a member of a consumer group, with the partitions that it
// has. A broker takes a commit of any member, for any partition, to any offset. So what is
// committed, and what not, is decided here.
type member struct {
	client *kgo.Client
	topic  string

	// mu is held while a commit is in flight: a partition that is taken away goes to
	// another member only after that.
	mu    sync.Mutex
	owned map[int32]*owned
}

// owned is a partition of the member.
type owned struct {
	first     int64 // offset of the first record that was polled since the member has it, or -1
	next      int64 // offset of the next one to poll, or -1: not known
	committed int64 // offset up to which the member has committed, or -1
}

// join returns a new member of the group.
func (c *Consumer) join() (*member, error) {
	opts, _, err := c.options.clientOptions(c.options.Timeout / 3)
	if err != nil {
		return nil, err
	}
	m := &member{topic: c.options.Topic, owned: map[int32]*owned{}}
	opts = append(opts,
		kgo.ConsumeTopics(c.options.Topic),
		kgo.ConsumerGroup(c.options.Group),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.DisableAutoCommit(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(c.options.SessionTimeout),
		kgo.HeartbeatInterval(min(3*time.Second, c.options.SessionTimeout/3)),
		kgo.OnPartitionsAssigned(m.assigned),
		kgo.OnPartitionsRevoked(m.lost),
		kgo.OnPartitionsLost(m.lost),
		kgo.AdjustFetchOffsetsFn(m.begins),
		// A fetch that waits at a broker is not given up for partitions that are new.
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxPartitionBytes(fetchBytes/4),
		kgo.MaxConcurrentFetches(2),
		kgo.RetryBackoffFn(backoff),
		kgo.MetadataMinAge(500*time.Millisecond),
	)
	m.client, err = kgo.NewClient(opts...)
	return m, err
}

func (m *member) assigned(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range partitions[m.topic] {
		m.owned[p] = &owned{-1, -1, -1}
	}
}

func (m *member) lost(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range partitions[m.topic] {
		delete(m.owned, p)
	}
}

// begins learns what the group has committed.
func (m *member) begins(
	_ context.Context, offsets map[string]map[int32]kgo.Offset,
) (map[string]map[int32]kgo.Offset, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, at := range offsets[m.topic] {
		if o := m.owned[p]; o != nil {
			o.next = at.EpochOffset().Offset // negative if there is no commit
		}
	}
	return offsets, nil
}

// take returns the records of partitions that the member has.
func (m *member) take(fetches kgo.Fetches) []pipeline.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	records := make([]pipeline.Record, 0, fetches.NumRecords())
	fetches.EachRecord(func(r *kgo.Record) {
		if o := m.owned[r.Partition]; o != nil {
			if o.first < 0 {
				o.first = r.Offset
			}
			records = append(records, pipelineRecord(r))
		}
	})
	return records
}

// gap is a range of offsets, [from, to), of which there is no record.
type gap struct {
	partition int32
	from, to  int64
}

// gaps returns the gaps before and between records, the next ones of the member.
func (m *member) gaps(records []pipeline.Record) (found []gap) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range records {
		r := &records[i]
		o := m.owned[r.Partition]
		if o == nil {
			continue
		}
		if o.next >= 0 && r.Offset > o.next {
			found = append(found, gap{r.Partition, o.next, r.Offset})
		}
		o.next = r.Offset + 1
	}
	return found
}

// commitTimeout bounds one attempt to commit.
const commitTimeout = 5 * time.Second

// commit commits what the member may commit.
func (m *member) commit(ctx context.Context, done []pipeline.Record) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	m.mu.Lock()
	defer m.mu.Unlock()
	offsets := map[int32]kgo.EpochOffset{}
	for i := range done {
		r := &done[i]
		o, next := m.owned[r.Partition], r.Offset+1
		// A record before the first is of a time when the member had the partition
		// before. Another may have committed more since.
		if o != nil && o.first >= 0 && r.Offset >= o.first && next > max(o.committed, offsets[r.Partition].Offset) {
			offsets[r.Partition] = kgo.EpochOffset{Epoch: -1, Offset: next}
		}
	}
	if len(offsets) == 0 {
		return nil
	}
	var err error
	m.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{m.topic: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, failed error) {
			err = commitError(response, failed)
		})
	if err != nil {
		return err
	}
	for p, at := range offsets {
		m.owned[p].committed = at.Offset
	}
	return nil
}

// commitError returns why not all of a commit was taken, or nil.
func commitError(response *kmsg.OffsetCommitResponse, err error) error {
	if err != nil {
		return err
	}
	var errs []error
	for _, topic := range response.Topics {
		for _, p := range topic.Partitions {
			errs = append(errs, kerr.ErrorForCode(p.ErrorCode))
		}
	}
	return errors.Join(errs...)
}

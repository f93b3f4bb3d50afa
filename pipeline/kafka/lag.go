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

// LagOptions say whose lag is read.
type LagOptions struct {
	Options
	Groups []string
	// IgnoreUncommitted leaves out partitions that the group has never committed
	// to; else they count from their start.
	IgnoreUncommitted bool
	// Timeout bounds one reading, default 5 s.
	ReadTimeout time.Duration
	// Now is the clock that ages are told by; nil for the machine's.
	Now func() time.Time
}

// Lag is how far a consumer group is behind the end of the topic.
type Lag struct {
	Group string
	// Err says why the lag is not known. It is ErrUnknownGroup for a group that
	// does not exist, or has no member and no commit to the topic: its lag is not
	// 0 but unknown.
	Err     error
	Records int64
	Age     time.Duration // of the oldest record that is not consumed; 0 for none
}

// ErrUnknownGroup says that a consumer group does not exist.
var ErrUnknownGroup = errors.New("kafka: no such consumer group")

// LagReader reads the lag of consumer groups. It belongs to one caller.
type LagReader struct {
	options LagOptions
	client  *kgo.Client
	admin   *kadm.Client
	ages    map[string]*ages // by group
}

// NewLagReader makes a reader. It connects with the first Read.
func NewLagReader(o LagOptions) (*LagReader, error) {
	o.defaults()
	if o.ReadTimeout <= 0 {
		o.ReadTimeout = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	opts, _, err := o.connecting(o.ReadTimeout)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	opts = append(opts,
		kgo.RetryTimeout(o.ReadTimeout),
		kgo.RequestTimeoutOverhead(o.ReadTimeout),
		// A leader that has moved must be found within a reading or two.
		kgo.MetadataMinAge(min(o.ReadTimeout, 2500*time.Millisecond)),
	)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	r := &LagReader{options: o, client: client, admin: kadm.NewClient(client), ages: map[string]*ages{}}
	for _, group := range o.Groups {
		r.ages[group] = &ages{}
	}
	return r, nil
}

// Close ends the reader's connections.
func (r *LagReader) Close() { r.client.Close() }

// Read gives the lag of each group, in the order of the options, within
// ReadTimeout.
func (r *LagReader) Read(ctx context.Context) []Lag {
	ctx, cancel := context.WithTimeout(ctx, r.options.ReadTimeout)
	defer cancel()
	lags := make([]Lag, len(r.options.Groups))
	// Commits before ends: what comes in between counts as lag, which is nearer
	// to the truth than a lag below 0.
	commits := make([]map[int32]int64, len(lags))
	for i, group := range r.options.Groups {
		lags[i].Group = group
		commits[i], lags[i].Err = r.committed(ctx, group)
	}
	starts, ends, err := r.bounds(ctx)
	for i := range lags {
		if lags[i].Err == nil {
			lags[i].Err = err
		}
		if lags[i].Err == nil {
			r.measure(ctx, &lags[i], r.behind(commits[i], starts, ends))
		}
	}
	return lags
}

// committed gives the next offset to consume, by partition.
func (r *LagReader) committed(ctx context.Context, group string) (map[int32]int64, error) {
	responses, err := r.admin.FetchOffsets(ctx, group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, fmt.Errorf("kafka: group %s: %w", group, err)
	}
	at := map[int32]int64{}
	for partition, response := range responses[r.options.Topic] {
		if response.Err != nil {
			return nil, fmt.Errorf("kafka: group %s: partition %d: %w", group, partition, response.Err)
		}
		if response.At >= 0 {
			at[partition] = response.At
		}
	}
	if len(at) == 0 {
		return at, r.exists(ctx, group)
	}
	return at, nil
}

// exists looks for members of a group that has not committed yet. A group is
// of the classic protocol or of the one of KIP-848, and each has its request.
func (r *LagReader) exists(ctx context.Context, group string) error {
	classic, err := r.admin.DescribeGroups(ctx, group)
	if err != nil {
		return fmt.Errorf("kafka: group %s: %w", group, err)
	}
	if d := classic[group]; d.Err != nil && !errors.Is(d.Err, kerr.GroupIDNotFound) {
		return fmt.Errorf("kafka: group %s: %w", group, d.Err)
	} else if len(d.Members) > 0 {
		return nil
	}
	// Brokers without that protocol have no group of it.
	consumer, err := r.admin.DescribeConsumerGroups(ctx, group)
	if err == nil && len(consumer[group].Members) > 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrUnknownGroup, group)
}

func (r *LagReader) bounds(ctx context.Context) (starts, ends map[int32]int64, err error) {
	for _, of := range []struct {
		at   *map[int32]int64
		list func(context.Context, ...string) (kadm.ListedOffsets, error)
	}{{&starts, r.admin.ListStartOffsets}, {&ends, r.admin.ListEndOffsets}} {
		if *of.at, err = r.offsets(of.list(ctx, r.options.Topic)); err != nil {
			return nil, nil, err
		}
	}
	return starts, ends, nil
}

func (r *LagReader) offsets(offsets kadm.ListedOffsets, err error) (map[int32]int64, error) {
	if offsets, err = listed(offsets, err); err != nil {
		return nil, err
	}
	at := map[int32]int64{}
	for partition, o := range offsets[r.options.Topic] {
		at[partition] = o.Offset
	}
	return at, nil
}

// span is what a group has not consumed of a partition: [next, end).
type span struct{ next, end int64 }

// behind gives the spans of the partitions where the group is behind.
func (r *LagReader) behind(commits, starts, ends map[int32]int64) map[int32]span {
	spans := map[int32]span{}
	for partition, end := range ends {
		next, committed := commits[partition]
		if !committed && r.options.IgnoreUncommitted {
			continue
		}
		// What retention has deleted will not be consumed.
		if next = max(next, starts[partition]); next < end {
			spans[partition] = span{next, end}
		}
	}
	return spans
}

func (r *LagReader) measure(ctx context.Context, lag *Lag, spans map[int32]span) {
	for _, s := range spans {
		lag.Records += s.end - s.next
	}
	now := r.options.Now()
	oldest, err := r.ages[lag.Group].oldest(spans, now, func(at time.Time) (map[int32]stamped, error) {
		return r.after(ctx, at)
	})
	switch {
	case err != nil:
		lag.Err = err
	case !oldest.IsZero():
		lag.Age = max(0, now.Sub(oldest))
	}
}

// after gives, by partition, the first record that is not older than at.
func (r *LagReader) after(ctx context.Context, at time.Time) (map[int32]stamped, error) {
	offsets, err := listed(r.admin.ListOffsetsAfterMilli(ctx, at.UnixMilli(), r.options.Topic))
	if err != nil {
		return nil, err
	}
	found := map[int32]stamped{}
	for partition, o := range offsets[r.options.Topic] {
		found[partition] = stamped{offset: o.Offset, milli: o.Timestamp}
	}
	return found, nil
}

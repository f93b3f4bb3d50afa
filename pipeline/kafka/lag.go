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

// LagOptions configures a LagReader.
type LagOptions struct {
	Options
	Groups []string
	// IgnoreUncommitted leaves out partitions that the group has never committed to.
	// Otherwise they count from their start.
	IgnoreUncommitted bool
	// ReadTimeout bounds one reading. The default is 5 s.
	ReadTimeout time.Duration
	// Now is the clock for ages. Nil means time.Now.
	Now func() time.Time
}

// LagReader reads the lag of consumer groups. It is not safe for concurrent use.
type LagReader struct {
	options LagOptions
	client  *kgo.Client
	admin   *kadm.Client
	ages    map[string]*ageFinder // by group
}

// NewLagReader returns a reader. It connects at the first Read.
func NewLagReader(o LagOptions) (*LagReader, error) {
	o.defaults()
	if o.ReadTimeout <= 0 {
		o.ReadTimeout = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	opts, _, err := o.clientOptions(o.ReadTimeout)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	opts = append(opts,
		kgo.RetryTimeout(o.ReadTimeout),
		kgo.RequestTimeoutOverhead(o.ReadTimeout),
		// A new leader must be found within one or two readings.
		kgo.MetadataMinAge(min(o.ReadTimeout, 2500*time.Millisecond)),
	)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	r := &LagReader{
		options: o, client: client, admin: kadm.NewClient(client), ages: map[string]*ageFinder{},
	}
	for _, group := range o.Groups {
		r.ages[group] = &ageFinder{}
	}
	return r, nil
}

// Close closes the connections of the reader.
func (r *LagReader) Close() { r.client.Close() }

// Read returns the lag of each group, in the order of LagOptions.Groups, within
// ReadTimeout.
func (r *LagReader) Read(ctx context.Context) []pipeline.Lag {
	ctx, cancel := context.WithTimeout(ctx, r.options.ReadTimeout)
	defer cancel()
	lags := make([]pipeline.Lag, len(r.options.Groups))
	// Commits are read before ends. Records that arrive in between count as lag; the
	// other order could give a negative lag.
	commits := make([]map[int32]int64, len(lags))
	for i, group := range r.options.Groups {
		lags[i].Group = group
		commits[i], lags[i].Err = r.committed(ctx, group)
	}
	starts, ends, err := r.offsetRange(ctx)
	for i := range lags {
		if lags[i].Err == nil {
			lags[i].Err = err
		}
		if lags[i].Err == nil {
			r.measure(ctx, &lags[i], r.spans(commits[i], starts, ends))
		}
	}
	return lags
}

// committed returns the next offset to consume, by partition.
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

// exists returns pipeline.ErrUnknownGroup unless the group, which has no commit, has
// members. A group uses the classic protocol or that of KIP-848, and each has its own
// request.
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
	// A broker without the protocol of KIP-848 has no such groups.
	consumer, err := r.admin.DescribeConsumerGroups(ctx, group)
	if err == nil && len(consumer[group].Members) > 0 {
		return nil
	}
	return fmt.Errorf("kafka: %w: %s", pipeline.ErrUnknownGroup, group)
}

func (r *LagReader) offsetRange(ctx context.Context) (starts, ends map[int32]int64, err error) {
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

// span is the range of offsets of a partition that a group has not consumed: [next, end).
type span struct{ next, end int64 }

// spans returns what the group has not consumed, by partition. Partitions without lag are
// left out.
func (r *LagReader) spans(commits, starts, ends map[int32]int64) map[int32]span {
	found := map[int32]span{}
	for partition, end := range ends {
		next, committed := commits[partition]
		if !committed && r.options.IgnoreUncommitted {
			continue
		}
		// Records that retention has deleted cannot be consumed.
		if next = max(next, starts[partition]); next < end {
			found[partition] = span{next, end}
		}
	}
	return found
}

func (r *LagReader) measure(ctx context.Context, lag *pipeline.Lag, spans map[int32]span) {
	for _, s := range spans {
		lag.Records += s.end - s.next
	}
	now := r.options.Now()
	firstSince := func(at time.Time) (map[int32]recordTime, error) { return r.firstSince(ctx, at) }
	oldest, err := r.ages[lag.Group].oldest(spans, now, firstSince)
	switch {
	case err != nil:
		lag.Err = err
	case !oldest.IsZero():
		lag.Age = max(0, now.Sub(oldest))
	}
}

// firstSince returns the first record since at, by partition.
func (r *LagReader) firstSince(ctx context.Context, at time.Time) (map[int32]recordTime, error) {
	offsets, err := listed(r.admin.ListOffsetsAfterMilli(ctx, at.UnixMilli(), r.options.Topic))
	if err != nil {
		return nil, err
	}
	first := map[int32]recordTime{}
	for partition, o := range offsets[r.options.Topic] {
		first[partition] = recordTime{offset: o.Offset, milli: o.Timestamp}
	}
	return first, nil
}

package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// reader is a consumer group with the next offset that it reads, by partition.
type reader struct {
	group string
	next  map[int32]int64
}

// unread returns how many of the events in [from, to) of a partition the group has not
// committed.
func (r reader) unread(partition int32, from, to int64) int64 {
	return max(0, to-max(from, r.next[partition]))
}

// groups returns the named groups with their commits to the topic. Without names it
// returns all that have committed.
func groups(ctx context.Context, admin *kadm.Client, topic string, names []string) ([]reader, error) {
	all := len(names) == 0
	if all {
		listed, err := admin.ListGroups(ctx)
		if err != nil {
			return nil, err
		}
		names = listed.Groups()
	}
	var readers []reader
	for _, name := range names {
		responses, err := admin.FetchOffsets(ctx, name)
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			return nil, fmt.Errorf("group %s: %w", name, err)
		}
		r := reader{name, map[int32]int64{}}
		for partition, response := range responses[topic] {
			if response.Err == nil && response.At >= 0 {
				r.next[partition] = response.At
			}
		}
		if !all || len(r.next) > 0 {
			readers = append(readers, r)
		}
	}
	return readers, nil
}

// lowerCommits lowers commits that are beyond the end of the log. Consumers read events
// before these are durable. After a loss of power such an event, which nobody was told to
// be accepted, may be gone, and the commit would skip the next event at its offset.
func lowerCommits(ctx context.Context, admin *kadm.Client, topic string) error {
	readers, err := groups(ctx, admin, topic, nil)
	if err != nil || len(readers) == 0 {
		return err
	}
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return err
	}
	for _, r := range readers {
		lowered := kadm.Offsets{}
		for partition, next := range r.next {
			if end, ok := ends.Lookup(topic, partition); ok && end.Err == nil && next > end.Offset {
				lowered.AddOffset(topic, partition, end.Offset, -1)
			}
		}
		if len(lowered) == 0 {
			continue
		}
		if err := admin.CommitAllOffsets(ctx, r.group, lowered); err != nil {
			return fmt.Errorf("group %s: %w", r.group, err)
		}
	}
	return nil
}

package embedded

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

const setupTimeout = 10 * time.Second

// segmentsKept is the number of segment files within the retention. kfake frees disk
// space by whole segments. It reads a whole segment into memory at its start, so a
// segment has at most maxSegment bytes.
const (
	segmentsKept = 8
	minSegment   = 1 << 20
	maxSegment   = 128 << 20
)

// ensureTopic creates the topic, or applies these settings to an existing one.
func ensureTopic(ctx context.Context, admin *kadm.Client, o Options) error {
	configs := topicConfigs(o)
	_, err := admin.CreateTopic(ctx, int32(o.Partitions), 1, configs, o.Topic)
	if err == nil || !errors.Is(err, kerr.TopicAlreadyExists) {
		return err
	}
	var changes []kadm.AlterConfig
	for name, value := range configs {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: value})
	}
	answers, err := admin.AlterTopicConfigs(ctx, changes, o.Topic)
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Err != nil {
			return a.Err
		}
	}
	return nil
}

// minRetention is the least limit of a partition in bytes. It is more than the largest
// batch, so that retention by size never empties a partition (see expire).
const minRetention = 4 << 20

// partitionShare returns the limit of one partition in bytes, 0 for none. Kafka counts by
// partition.
func partitionShare(o Options) int64 {
	if o.RetentionBytes == 0 {
		return 0
	}
	return max(o.RetentionBytes/int64(o.Partitions), minRetention)
}

func topicConfigs(o Options) map[string]*string {
	text := func(n int64) *string {
		s := strconv.FormatInt(n, 10)
		return &s
	}
	limit, segment := int64(-1), int64(maxSegment)
	if share := partitionShare(o); share > 0 {
		limit, segment = share, min(max(share/segmentsKept, minSegment), maxSegment)
	}
	return map[string]*string{
		"retention.bytes": text(limit),
		"retention.ms":    text(-1), // see expire
		"segment.bytes":   text(segment),
	}
}

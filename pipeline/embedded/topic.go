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
// space by whole segments.
const segmentsKept = 8

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

// minRetention is more than the largest batch, so that retention by size never empties a
// partition (see expire).
const minRetention = 4 << 20

func topicConfigs(o Options) map[string]*string {
	share := max(o.RetentionBytes/int64(o.Partitions), minRetention) // Kafka counts by partition
	text := func(n int64) *string {
		s := strconv.FormatInt(n, 10)
		return &s
	}
	return map[string]*string{
		"retention.bytes": text(share),
		"retention.ms":    text(-1), // see expire
		"segment.bytes":   text(max(share/segmentsKept, 1<<20)),
	}
}

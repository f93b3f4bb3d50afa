package pressure

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Consumer reads as many events as it is told to, as a member of the group, and commits
// them. It is for one goroutine, and stays a member while it stands still.
type Consumer struct{ client *kgo.Client }

// NewConsumer makes a consumer of the scenario's group. It reads nothing yet.
func (s *Scenario) NewConsumer() (*Consumer, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(s.Broker), kgo.ConsumerGroup(s.Group), kgo.ConsumeTopics(s.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
	)
	if err != nil {
		return nil, fmt.Errorf("consumer: %w", err)
	}
	return &Consumer{client}, nil
}

// Close leaves the group.
func (c *Consumer) Close() { c.client.Close() }

// Take reads and commits so many records, and waits for them until ctx ends.
func (c *Consumer) Take(ctx context.Context, records int) error {
	for records > 0 {
		taken, err := c.poll(ctx, records)
		if records -= taken; err == nil && records > 0 {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("consumer: %d records are left: %w", records, err)
		}
	}
	return nil
}

// poll reads and commits what is there, at most so many records. It waits a
// moment when there is nothing.
func (c *Consumer) poll(ctx context.Context, most int) (int, error) {
	patience, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	records := c.client.PollRecords(patience, most).Records()
	if len(records) == 0 {
		return 0, nil
	}
	return len(records), c.client.CommitRecords(ctx, records...)
}

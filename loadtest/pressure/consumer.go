package pressure

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// consumer reads the events as a member of the group and commits them. It can
// be told to stand still.
type consumer struct {
	client *kgo.Client
	rate   int         // records a second at most
	halted atomic.Bool // it stays a member
}

func newConsumer(s *Scenario) (*consumer, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(s.Broker), kgo.ConsumerGroup(s.Group), kgo.ConsumeTopics(s.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
	)
	if err != nil {
		return nil, fmt.Errorf("consumer: %w", err)
	}
	return &consumer{client: client, rate: s.Consume}, nil
}

// step is how often the consumer fetches.
const step = 50 * time.Millisecond

func (c *consumer) run(ctx context.Context) error {
	tick := time.NewTicker(step)
	defer tick.Stop()
	for ctx.Err() == nil {
		if c.halted.Load() {
			<-tick.C
			continue
		}
		patience, cancel := context.WithTimeout(ctx, 10*step)
		fetched := c.client.PollRecords(patience, max(1, c.rate*int(step)/int(time.Second)))
		cancel()
		if records := fetched.Records(); len(records) > 0 {
			if err := c.client.CommitRecords(ctx, records...); err != nil && ctx.Err() == nil {
				return fmt.Errorf("consumer: %w", err)
			}
		}
		<-tick.C
	}
	return nil
}

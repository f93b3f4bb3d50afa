package adapters

import (
	"context"
	"log/slog"

	"sluice/gateway/config"
	"sluice/pipeline/kafka"
)

// openConsumer returns a member of the group that fills the index, and the dead letters.
// Neither has connected yet. lost is told of events that were deleted before they were read.
func openConsumer(c *config.Config, log *Log, lost func(int64), logger *slog.Logger) (*kafka.Consumer, *kafka.DeadLetters, error) {
	options, err := clientOptions(c, log, logger)
	if err != nil {
		return nil, nil, err
	}
	consumer, err := kafka.NewConsumer(kafka.ConsumerOptions{Options: options, Group: c.Index.Group, Lost: lost, Logger: logger})
	if err != nil {
		return nil, nil, err
	}
	return consumer, kafka.NewDeadLetters(options, c.Index.Group), nil
}

// DeadLetters are the events that could not be indexed.
type DeadLetters struct{ letters *kafka.DeadLetters }

// DeadLetter is one of them.
type DeadLetter = kafka.DeadLetter

// OpenDeadLetters returns the dead letters of the log that c names.
func OpenDeadLetters(c *config.Config) (*DeadLetters, error) {
	options, err := clientOptions(c, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return &DeadLetters{kafka.NewDeadLetters(options, c.Index.Group)}, nil
}

// Each calls each with every dead letter that was not replayed, in their order.
func (d *DeadLetters) Each(ctx context.Context, each func(*DeadLetter) error) error {
	return d.letters.Each(ctx, each)
}

// Replay publishes the dead letters again of which each reports that they are wanted, and
// returns their number. The others are listed no more.
func (d *DeadLetters) Replay(ctx context.Context, each func(*DeadLetter) bool) (int, error) {
	return d.letters.Replay(ctx, each)
}

// Close closes the connections.
func (d *DeadLetters) Close() { d.letters.Close() }

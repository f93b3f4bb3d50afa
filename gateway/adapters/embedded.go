package adapters

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sluice/gateway/config"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
)

// readers returns the consumer groups whose unread events count.
func readers(c *config.Config) []string {
	groups := slices.Clone(c.Pressure.Lag.Groups)
	if c.IndexesItself() && !slices.Contains(groups, c.Index.Group) {
		groups = append(groups, c.Index.Group)
	}
	return groups
}

// openEmbedded starts the broker in this process and opens its topic.
func openEmbedded(c *config.Config, d Deps) (*Log, error) {
	broker, err := embedded.Start(embedded.Options{
		Address:        c.Events.Embedded.Address,
		DataDir:        c.EventsDir(),
		Topic:          c.Events.Topic,
		DeadLetters:    kafka.DeadLetterTopic(c.Events.Topic),
		Partitions:     c.Events.Embedded.Partitions,
		Retention:      c.Events.Embedded.Retention,
		RetentionBytes: int64(c.Events.Embedded.RetentionBytes),
		Groups:         readers(c),
		Queue:          c.Limits.Connections,
		Logger:         d.MailLog.Logger(),
		Bound:          d.Bound,
	})
	if err != nil {
		return nil, fmt.Errorf("event log (events.embedded.address, data_dir): %w", err)
	}
	options := kafka.Options{
		Brokers:        []string{broker.Addr()},
		Topic:          c.Events.Topic,
		Compression:    c.Events.Embedded.Compression,
		Queue:          c.Limits.Connections,
		Durable:        broker,
		ClientReplaced: clientReplaced(d),
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	log, err := kafka.Open(ctx, options)
	if err != nil {
		return nil, errors.Join(err, broker.Close())
	}
	opened := kafkaLog(c, log, options)
	opened.client = &kafka.Options{Brokers: options.Brokers, Topic: options.Topic, Durable: broker}
	opened.Address, opened.Unread, opened.DeletedUnread = broker.Addr(), broker.Unread, broker.DeletedUnread()
	opened.close = func() error { return errors.Join(log.Close(), broker.Close()) }
	return opened, nil
}

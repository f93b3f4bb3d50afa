package adapters

import (
	"context"
	"errors"
	"fmt"

	"sluice/gateway/config"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
)

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
		Groups:         c.Pressure.Lag.Groups,
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
	opened.Address, opened.Unread, opened.DeletedUnread = broker.Addr(), broker.Unread, broker.DeletedUnread()
	opened.close = func() error { return errors.Join(log.Close(), broker.Close()) }
	return opened, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"sluice/gateway/config"
	"sluice/pipeline/kafka"
)

// kafkaOptions are how a cluster is spoken to.
func kafkaOptions(c *config.Config, logger *slog.Logger) kafka.Options {
	k := &c.Events.Kafka
	o := kafka.Options{
		Brokers:     k.Brokers,
		Topic:       c.Events.Topic,
		Compression: k.Compression,
		Linger:      k.Linger,
		// Every session may have one message under way, and no more.
		Queue: c.Limits.Connections,
		Found: func(info kafka.TopicInfo) { reportTopic(logger, info) },
	}
	if k.TLS {
		o.TLS = &kafka.TLS{CAFile: k.CAFile, ServerName: k.ServerName}
	}
	if k.SASL.Mechanism != config.SaslNone {
		o.SASL = &kafka.SASL{
			Mechanism: k.SASL.Mechanism, Username: k.SASL.Username, Password: k.SASL.Password.Reveal(),
			Reread: k.SASL.Password.Reread("events.kafka.sasl.password", logger),
		}
	}
	if k.CreateTopic.Partitions > 0 {
		o.CreateTopic = &kafka.CreateTopic{Partitions: k.CreateTopic.Partitions, Replication: k.CreateTopic.Replication}
	}
	return o
}

// reportTopic says what an acknowledgement of this topic is worth: with
// min.insync.replicas 1, acks=all is one broker's word.
func reportTopic(logger *slog.Logger, info kafka.TopicInfo) {
	log := logger.Info
	if info.ReplicationFactor == 1 || info.MinInsyncReplicas == 1 {
		log = logger.Warn
	}
	text := "topic"
	switch {
	case info.ReplicationFactor == 1:
		text = "the topic has one copy: what is answered 250 is lost with one broker's disk"
	case info.MinInsyncReplicas == 1:
		text = "min.insync.replicas is 1: 250 may rest on one broker alone; set it to 2 or more"
	case info.MinInsyncReplicas == 0:
		text = "topic; its min.insync.replicas and max.message.bytes are not known, because describing configs is not allowed"
	case info.MaxMessageBytes > 0 && info.MaxMessageBytes < smallMessages:
		log = logger.Warn
		text = "max.message.bytes of the topic is small: mail with many or long recipients is split by 452, or refused by 552"
	}
	log(text, "topic", info.Name, "partitions", info.Partitions,
		"replication_factor", info.ReplicationFactor, "min_insync_replicas", info.MinInsyncReplicas,
		"max_message_bytes", info.MaxMessageBytes)
}

// smallMessages is what an event of a thousand recipients of common length needs.
const smallMessages = 64 << 10

// openLog opens the topic. A missing one names the keys that would have it made.
func openLog(ctx context.Context, c *config.Config, o kafka.Options) (*kafka.Log, error) {
	log, err := kafka.Open(ctx, o)
	var missing *kafka.MissingTopicError
	if errors.As(err, &missing) {
		return nil, fmt.Errorf("%w; or let Sluice create it: %s", err, c.Setting("events.kafka.create_topic.partitions", "6"))
	}
	return log, err
}

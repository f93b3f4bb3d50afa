package adapters

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sluice/gateway/config"
	"sluice/gateway/monitor"
	"sluice/pipeline/kafka"
)

// kafkaOptions returns the options of the client of a cluster.
func kafkaOptions(c *config.Config, logger *slog.Logger) kafka.Options {
	k := &c.Events.Kafka
	o := kafka.Options{
		Brokers:     k.Brokers,
		Topic:       c.Events.Topic,
		Compression: k.Compression,
		Linger:      k.Linger,
		// Every session may have one message in flight, and no more.
		Queue:         c.Limits.Connections,
		Found:         func(info kafka.TopicInfo) { reportTopic(logger, info) },
		BrokerChanged: func(b kafka.BrokerState) { reportBroker(logger, b) },
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

// reportTopic logs the durability of the topic: with min.insync.replicas 1, acks=all is
// the acknowledgement of one broker.
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

// reportBroker logs that a broker stopped to answer, or answers again.
func reportBroker(logger *slog.Logger, b kafka.BrokerState) {
	if b.Answers {
		logger.Info("the Kafka broker answers again", "broker", b.ID, "address", b.Address, "silent_seconds", b.Silent.Seconds())
		return
	}
	logger.Warn("a Kafka broker does not answer; the partitions that it leads wait for another leader",
		"broker", b.ID, "address", b.Address)
}

// ReplaceCauses returns the causes for which the client of the event log is replaced.
func ReplaceCauses() []string { return kafka.ReplaceCauses() }

// clientReplaced returns a function that counts and logs a client that was replaced. The
// lines are few: a fresh client has some time before it is replaced too.
func clientReplaced(d Deps) func(cause string) {
	return func(cause string) {
		if d.ClientReplaced != nil {
			d.ClientReplaced(cause)
		}
		log := d.MailLog.Logger().Warn
		if cause == kafka.CauseSize {
			log = d.MailLog.Logger().Info
		}
		log("events are published by a fresh Kafka client from now on", "cause", cause)
	}
}

// smallMessages is the size of an event with a thousand recipients of usual length.
const smallMessages = 64 << 10

// openTime bounds the first request for the topic.
const openTime = 10 * time.Second

// clients are the options of a client of each kind of log, from another process.
var clients = map[string]func(*config.Config, *slog.Logger) kafka.Options{
	config.KindEmbedded: func(c *config.Config, _ *slog.Logger) kafka.Options {
		return kafka.Options{Brokers: []string{c.Events.Embedded.Address}, Topic: c.Events.Topic}
	},
	config.KindKafka: func(c *config.Config, logger *slog.Logger) kafka.Options {
		o := kafkaOptions(c, logger)
		o.Found, o.BrokerChanged = nil, nil
		return o
	},
}

// clientOptions returns the options of a client of the log that c names. log is that of this
// process, or nil.
func clientOptions(c *config.Config, log *Log, logger *slog.Logger) (kafka.Options, error) {
	if log != nil && log.client != nil {
		return *log.client, nil
	}
	options, ok := clients[c.Events.Kind]
	if !ok {
		return kafka.Options{}, fmt.Errorf("events.kind %s has no consumers", c.Events.Kind)
	}
	return options(c, logger), nil
}

// openKafka opens the topic of a cluster. If the topic is missing, the error names the
// keys with which Sluice would create it.
func openKafka(c *config.Config, d Deps) (*Log, error) {
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	options := kafkaOptions(c, d.MailLog.Logger())
	options.ClientReplaced = clientReplaced(d)
	log, err := kafka.Open(ctx, options)
	var missing *kafka.MissingTopicError
	if errors.As(err, &missing) {
		err = fmt.Errorf("%w; or let Sluice create it: %s", err, c.Setting("events.kafka.create_topic.partitions", "6"))
	}
	if err != nil {
		return nil, err
	}
	opened := kafkaLog(c, log, options)
	opened.Brokers = log.Brokers
	return opened, nil
}

// kafkaLog returns the open topic log as a Log.
func kafkaLog(c *config.Config, log *kafka.Log, o kafka.Options) *Log {
	return &Log{
		Events: log, Depth: log.Depth, Probe: log.Probe, Topic: log.Topic, close: log.Close,
		OpenLag: func() (monitor.LagSource, error) { return kafka.NewLagReader(lagOptions(c, o)) },
	}
}

// maxReading bounds one reading of the lag, which consists of many requests.
const maxReading = 5 * time.Second

// lagOptions returns the options of the lag reader, which uses the brokers of o.
func lagOptions(c *config.Config, o kafka.Options) kafka.LagOptions {
	return kafka.LagOptions{
		Options:           o,
		Groups:            c.Pressure.Lag.Groups,
		IgnoreUncommitted: c.Pressure.Lag.Uncommitted == config.UncommittedIgnore,
		ReadTimeout:       min(maxReading, c.Pressure.Lag.StaleAfter),
	}
}

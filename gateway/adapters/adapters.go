// Package adapters opens what the configuration names: the object store, the event log,
// and readers of the store. A new technology is a file here and a line in a table.
package adapters

import (
	"context"
	"fmt"
	"net"

	"sluice/gateway/config"
	"sluice/gateway/maillog"
	"sluice/gateway/monitor"
	"sluice/pipeline"
	"sluice/pipeline/kafka"
	"sluice/pipeline/pack"
)

// Deps are the parts of the gateway that stores and logs use.
type Deps struct {
	MailLog *maillog.Log
	Packs   pack.Observer // counts packs
	// Retried counts a further attempt at a request to the store, by one of RetryCauses.
	Retried func(cause string)
	// ClientReplaced counts a client of the event log that was replaced, by one of
	// ReplaceCauses.
	ClientReplaced func(cause string)
	// Bound bounds the connections of a listener in this process.
	Bound func(net.Listener) net.Listener
}

// Store is an open object store and the functions that the gateway uses to monitor it.
type Store struct {
	Objects pipeline.ObjectStore
	// Bucket is the name of the bucket in events.
	Bucket string
	// Depth returns the number of messages in flight; nil for a store without a queue.
	Depth func() int64
	// Probe asks whether the store is available; nil for a store that always is.
	Probe func(ctx context.Context) error
	// LeftBehind returns the number of failed messages that left an object or upload in
	// the store; nil for a store in which that cannot happen.
	LeftBehind func() int64
	// Batcher packs small messages; nil if each message has an object of its own.
	Batcher *pack.Batcher
	// LargeLimit returns the limit of concurrent requests for large messages; nil if they
	// do not give way to small ones.
	LargeLimit func() int

	close func() error
}

// Log is an open event log and the functions that the gateway uses to monitor it.
type Log struct {
	Events pipeline.EventLog
	// Depth returns the number of events in flight; nil for a log without a queue.
	Depth func() int64
	// Probe asks whether an event could be published; nil for a log that always can.
	Probe func(ctx context.Context) error
	// Topic returns the known properties of the topic; nil for a log without topics.
	Topic func() kafka.TopicInfo
	// Brokers returns the known brokers; nil for a log without brokers elsewhere.
	Brokers func() []kafka.BrokerState
	// OpenLag returns a reader of the consumers' lag; nil for a log without consumers.
	OpenLag func() (monitor.LagSource, error)
	// Unread returns the fraction of the log's bound that events take which a consumer
	// group has not read; nil for a log that keeps events longer than for its own bound.
	Unread func() float64
	// DeletedUnread returns, by the rule of the log that deleted them, how many events were
	// deleted before a consumer group had read them; nil for such a log, too.
	DeletedUnread map[string]func() int64
	// Address is where the log listens in this process, "" if it is elsewhere.
	Address string

	client *kafka.Options // of a client of a log in this process, nil for one elsewhere
	close  func() error
}

var stores = map[string]func(*config.Config, Deps) (*Store, error){
	config.KindDir:     openDir,
	config.KindS3:      openS3,
	config.KindDiscard: discardStore,
}

var logs = map[string]func(*config.Config, Deps) (*Log, error){
	config.KindEmbedded: openEmbedded,
	config.KindKafka:    openKafka,
	config.KindDiscard:  discardLog,
}

// OpenStore opens the object store that c names.
func OpenStore(c *config.Config, d Deps) (*Store, error) {
	open, ok := stores[c.Store.Kind]
	if !ok {
		return nil, fmt.Errorf("store.kind %s has no adapter", c.Store.Kind)
	}
	return open(c, d)
}

// OpenLog opens the event log that c names.
func OpenLog(c *config.Config, d Deps) (*Log, error) {
	open, ok := logs[c.Events.Kind]
	if !ok {
		return nil, fmt.Errorf("events.kind %s has no adapter", c.Events.Kind)
	}
	return open(c, d)
}

// Close waits for the messages in flight and closes the store.
func (s *Store) Close() error { return closeIf(s.close) }

// Close waits for the events in flight and closes the log, and its broker if that runs in
// this process.
func (l *Log) Close() error { return closeIf(l.close) }

func closeIf(close func() error) error {
	if close == nil {
		return nil
	}
	return close()
}

// Package adapters opens what the configuration names: the object store, the event log,
// and readers of the store. A new technology is a file here, and a line in a table.
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

// Deps is what stores and logs use of the gateway.
type Deps struct {
	MailLog *maillog.Log
	Packs   pack.Observer // counts packs
	// Bound bounds the connections of a listener in this process.
	Bound func(net.Listener) net.Listener
}

// Store is an open object store, with what the gateway may ask of it.
type Store struct {
	Objects pipeline.ObjectStore
	// Bucket is what events call the store's bucket.
	Bucket string
	// Depth returns the number of messages in flight; nil for a store without a queue.
	Depth func() int64
	// Probe asks whether the store can be used; nil for one that is always there.
	Probe func(ctx context.Context) error
	// LeftBehind returns the number of failed messages of which something stayed; nil
	// for a store in which a failed message leaves nothing.
	LeftBehind func() int64
	// Batcher packs small messages; nil if each has an object of its own.
	Batcher *pack.Batcher
	// LargeLimit returns how many requests of large messages may be in flight; nil if
	// they do not give way to small ones.
	LargeLimit func() int

	close func() error
}

// Log is an open event log, with what the gateway may ask of it.
type Log struct {
	Events pipeline.EventLog
	// Depth returns the number of events in flight; nil for a log without a queue.
	Depth func() int64
	// Topic returns what is known of the topic; nil for a log that is no Kafka.
	Topic func() kafka.TopicInfo
	// OpenLag returns a reader of the consumers' lag; nil for a log without consumers.
	OpenLag func() (monitor.LagSource, error)
	// Address is where the log listens in this process, "" if it is elsewhere.
	Address string

	close func() error
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

// Close ends the store. What is in flight comes home first.
func (s *Store) Close() error { return closeIf(s.close) }

// Close ends the log, and its broker if that runs in this process. What is in flight
// comes home first.
func (l *Log) Close() error { return closeIf(l.close) }

func closeIf(close func() error) error {
	if close == nil {
		return nil
	}
	return close()
}

// Package embedded is a Kafka broker in the process: franz-go's kfake on a loopback port
// with its data on disk. It is for one machine, for trials and for tests. Start documents
// what it guarantees and what not.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/internal/panics"
	"sluice/pipeline/durable"
)

// Options configures a Broker. Zero numbers take the defaults.
type Options struct {
	// Address is the loopback address to listen on. Port 0 selects a free port.
	Address string
	// DataDir is the folder of the log. A missing one is created.
	DataDir string
	// Topic is created if it is missing.
	Topic string
	// DeadLetters is a topic that a client may create. Its records become durable as
	// those of Topic do, but it may be deleted.
	DeadLetters string
	// Partitions is the number of partitions of a new topic. The default is 1: the
	// broker works on one thread, and each partition costs two fsyncs.
	Partitions int
	// RetentionBytes bounds the size of all partitions together. The oldest events are
	// deleted first. 0 is no limit.
	RetentionBytes int64
	// Retention bounds the age of events. The default is 7 days. The newest event of a
	// partition is always kept.
	Retention time.Duration
	// Groups are the consumer groups whose unread events count for Unread. For the warning
	// of events that are deleted unread, none stands for all groups.
	Groups []string
	// Queue is the number of acknowledged events that may wait for an fsync. The default
	// is 8192.
	Queue int
	// Logger receives the broker's warnings. Nil drops them.
	Logger *slog.Logger
	// Bound wraps the listener to limit connections, because the broker has no limit of
	// its own. It may be nil.
	Bound func(net.Listener) net.Listener
}

func (o *Options) defaults() {
	if o.Partitions <= 0 {
		o.Partitions = 1
	}
	if o.Retention <= 0 {
		o.Retention = 7 * 24 * time.Hour
	}
	if o.Queue <= 0 {
		o.Queue = 8192
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// topics returns the topics whose records become durable, Topic first.
func (o *Options) topics() []string {
	if o.DeadLetters == "" {
		return []string{o.Topic}
	}
	return []string{o.Topic, o.DeadLetters}
}

// Broker is a running broker.
type Broker struct {
	options Options
	cluster *kfake.Cluster
	client  *kgo.Client // for the topic's settings and retention
	flusher *flusher
	unread  atomic.Uint64 // float64 bits
	address string
	lock    *os.File
	refusal atomic.Pointer[refusal]
	deleted deletedUnread
	// unreported belongs to applyRetention.
	unreported *deletion

	stop      chan struct{}
	retainer  sync.WaitGroup
	closeOnce sync.Once
}

// Start starts a broker. An acknowledged event is written, and so survives kill -9. After
// Confirm it survives a loss of power too. The broker keeps one copy, knows no users and
// works on one thread: it is not for production. Events stay on disk; a batch of them
// takes about 75 bytes of memory.
//
// An address or data folder that another process uses is an error.
func Start(o Options) (*Broker, error) {
	o.defaults()
	b := &Broker{options: o, stop: make(chan struct{})}
	if err := b.start(o); err != nil {
		b.release()
		return nil, fmt.Errorf("embedded kafka: %w", err)
	}
	b.retainer.Go(func() { panics.Keep(panics.Embedded, b.retain) })
	return b, nil
}

func (b *Broker) start(o Options) error {
	if o.DataDir == "" || o.Topic == "" {
		return errors.New("data folder and topic are needed")
	}
	if err := b.lockFolder(o.DataDir); err != nil {
		return err
	}
	listener, err := listen(o.Address)
	if err != nil {
		return err
	}
	b.address = listener.Addr().String()
	if o.Bound != nil {
		listener = o.Bound(listener)
	}
	listener = &patientListener{Listener: listener, logger: o.Logger}
	// Create the folders of the log first: kfake creates them without an fsync.
	err = makePartitions(o)
	if err == nil {
		err = repair(o.DataDir, o.Logger)
	}
	if err != nil {
		_ = listener.Close()
		return err
	}
	b.cluster, err = kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return listener, nil }),
		kfake.ClusterID("sluice-embedded"),
		kfake.DataDir(o.DataDir),
		kfake.WithLogger(logger{o.Logger, &b.refusal}),
	)
	if err != nil {
		return err
	}
	if b.client, err = kgo.NewClient(kgo.SeedBrokers(b.address)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	admin := kadm.NewClient(b.client)
	if err := ensureTopic(ctx, admin, o); err != nil {
		return err
	}
	for _, topic := range o.topics() {
		if err := lowerCommits(ctx, admin, topic); err != nil {
			return err
		}
	}
	state, err := newFolder(o.DataDir, nil)
	if err != nil {
		return err
	}
	b.flusher = &flusher{state: state, limit: o.Queue, logger: o.Logger}
	for _, topic := range o.topics() {
		b.flusher.events = append(b.flusher.events, newPartitions(o.DataDir, topic, b.expired))
	}
	b.flusher.events[0].needed = true
	return b.flusher.start()
}

// Confirm calls done once all events that the broker has acknowledged until now are
// durable, or with the reason why they are not. It never blocks. Close must not be called
// before all results have come.
func (b *Broker) Confirm(done func(error)) { b.flusher.confirm(done) }

// Usable returns why no event can become durable before a restart, or nil.
func (b *Broker) Usable() error { return b.flusher.usable() }

// lockFolder creates the data folder and locks it against other brokers.
func (b *Broker) lockFolder(path string) error {
	if err := durable.MakeAll(durable.OS{}, path); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("data folder %s is in use by another process", path)
		}
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	b.lock = lock
	return nil
}

// Addr returns the address that the broker listens on.
func (b *Broker) Addr() string { return b.address }

// Close writes the state of the broker and ends it.
func (b *Broker) Close() error {
	b.closeOnce.Do(func() {
		close(b.stop)
		b.retainer.Wait()
		b.release()
	})
	return nil
}

// release releases what start acquired.
func (b *Broker) release() {
	if b.flusher != nil {
		b.flusher.end()
	}
	if b.client != nil {
		b.client.Close()
	}
	if b.cluster != nil {
		b.cluster.Close()
	}
	if b.flusher != nil {
		b.flusher.close()
	}
	if b.lock != nil {
		_ = b.lock.Close()
	}
}

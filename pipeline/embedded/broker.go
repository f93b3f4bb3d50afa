// Package embedded is a Kafka broker in the process: franz-go's kfake on a
// loopback port with its data on disk, for one machine, trying out and tests.
// What it does and does not promise is said by Start.
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
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Options of a broker. The zero value of a number takes the default.
type Options struct {
	// Address to listen on, a loopback address; port 0 takes a free one.
	Address string
	// DataDir keeps the log. It is made when it is not there.
	DataDir string
	// Topic that is made when it is not there.
	Topic string
	// Partitions of a topic that is made, default 1: the broker works on one
	// thread, and each partition of a batch costs it two fsyncs.
	Partitions int
	// RetentionBytes bounds the topic in octets, all partitions together, default
	// 1 GiB. The oldest events go first.
	RetentionBytes int64
	// Retention bounds the age of events, default 7 days. The newest event of a
	// partition stays.
	Retention time.Duration
	// Logger takes the broker's warnings; nil drops them.
	Logger *slog.Logger
	// Bound, if given, bounds the listener's connections: the broker has no bound of
	// its own.
	Bound func(net.Listener) net.Listener
}

func (o *Options) defaults() {
	if o.Partitions <= 0 {
		o.Partitions = 1
	}
	if o.RetentionBytes <= 0 {
		o.RetentionBytes = 1 << 30
	}
	if o.Retention <= 0 {
		o.Retention = 7 * 24 * time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Broker is a running broker.
type Broker struct {
	options Options
	cluster *kfake.Cluster
	client  *kgo.Client // its own, for settings and retention
	address string
	lock    *os.File

	stop      chan struct{}
	retainer  sync.WaitGroup
	closeOnce sync.Once
}

// Start runs a broker. Acknowledged events are written and fsynced, so that they
// are there after kill -9 and, on file systems whose fsync of a new file covers
// its name (ext4, XFS, Btrfs), after a loss of power. It keeps one copy, knows no
// users, works on one thread, and does not look at what fsync answers: it is not
// for production. Events stay on disk; a batch of them takes about 75 octets of
// memory (100,000 events: 0.7 MB with 50 under way, 7.5 MB one by one).
//
// An address or data folder that another process uses is an error.
func Start(o Options) (*Broker, error) {
	o.defaults()
	b := &Broker{options: o, stop: make(chan struct{})}
	if err := b.start(o); err != nil {
		b.abandon()
		return nil, fmt.Errorf("embedded kafka: %w", err)
	}
	b.retainer.Go(func() { b.retain(retainInterval) })
	return b, nil
}

func (b *Broker) start(o Options) error {
	if o.DataDir == "" || o.Topic == "" {
		return errors.New("data folder and topic are needed")
	}
	if err := b.takeFolder(o.DataDir); err != nil {
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
	// The folders of the log first: kfake makes them without an fsync.
	if err := makePartitions(o); err != nil {
		_ = listener.Close()
		return err
	}
	b.cluster, err = kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return listener, nil }),
		kfake.ClusterID("sluice-embedded"),
		kfake.DataDir(o.DataDir),
		kfake.SyncWrites(),
		kfake.WithLogger(logger{o.Logger}),
	)
	if err != nil {
		return err
	}
	if b.client, err = kgo.NewClient(kgo.SeedBrokers(b.address)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	return ensureTopic(ctx, kadm.NewClient(b.client), o)
}

// takeFolder makes the data folder and keeps other brokers out of it.
func (b *Broker) takeFolder(path string) error {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o640)
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

// listen takes the address. The broker lets everybody do everything, so it
// listens on loopback only.
func listen(address string) (net.Listener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", address, err)
	}
	if resolved.IP == nil || !resolved.IP.IsLoopback() {
		return nil, fmt.Errorf("address %q is not a loopback address", address)
	}
	listener, err := net.ListenTCP("tcp", resolved)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("address %s is in use by another process", resolved)
	}
	if err != nil {
		return nil, err
	}
	return listener, nil
}

// Addr gives the address that the broker listens on.
func (b *Broker) Addr() string { return b.address }

// Close ends the broker after writing its state.
func (b *Broker) Close() error {
	b.closeOnce.Do(func() {
		close(b.stop)
		b.retainer.Wait()
		b.abandon()
	})
	return nil
}

// abandon lets go of what start took.
func (b *Broker) abandon() {
	if b.client != nil {
		b.client.Close()
	}
	if b.cluster != nil {
		b.cluster.Close()
	}
	if b.lock != nil {
		_ = b.lock.Close()
	}
}

// logger brings kfake's log lines to slog.
type logger struct{ to *slog.Logger }

var levels = map[kfake.LogLevel]slog.Level{
	kfake.LogLevelError: slog.LevelError,
	kfake.LogLevelWarn:  slog.LevelWarn,
}

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	to, ok := levels[level]
	if !ok {
		return // its info and debug lines tell of its inner workings
	}
	l.to.Log(context.Background(), to, fmt.Sprintf("embedded kafka: "+format, args...))
}

package stack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/loadtest/process"
)

// KafkaCluster is some brokers that keep copies of each other's topics. Each is a
// controller too.
type KafkaCluster struct {
	Brokers []*KafkaServer // node ids 1, 2, 3 …
}

// StartKafkaCluster starts so many empty brokers in a folder, on free ports, for a
// program that is no test. They end with the program, or when they are killed.
func StartKafkaCluster(dir string, brokers int) (*KafkaCluster, error) {
	nodes := make([]kafkaNode, brokers)
	clusterID := newKafkaID()
	var voters []string
	for i := range nodes {
		n := &nodes[i]
		n.id, n.clusterID, n.heap = i+1, clusterID, "256m"
		for _, address := range []*string{&n.address, &n.controller} {
			var err error
			if *address, err = process.FreeAddress(); err != nil {
				return nil, err
			}
		}
		voters = append(voters, strconv.Itoa(n.id)+"@"+n.controller)
	}
	c := &KafkaCluster{}
	for _, n := range nodes {
		n.voters = voters
		folder := filepath.Join(dir, fmt.Sprint("kafka-", n.id))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
		k, err := newKafkaNode(folder, n, KafkaSettings{})
		if err != nil {
			return nil, err
		}
		c.Brokers = append(c.Brokers, k)
	}
	// Together: one alone has no majority of the controllers, and does not serve.
	errs := make(chan error, brokers)
	var starting sync.WaitGroup
	for _, k := range c.Brokers {
		starting.Go(func() { errs <- k.start() })
	}
	starting.Wait()
	for range c.Brokers {
		if err := <-errs; err != nil {
			c.Kill()
			return nil, err
		}
	}
	return c, c.awaitAll()
}

// awaitAll waits until every broker has joined.
func (c *KafkaCluster) awaitAll() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap()...))
	if err != nil {
		return err
	}
	defer client.Close()
	again := time.NewTicker(probeEvery)
	defer again.Stop()
	for {
		brokers, err := kadm.NewClient(client).ListBrokers(ctx)
		if err == nil && len(brokers) == len(c.Brokers) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d brokers joined: %w", len(brokers), len(c.Brokers), err)
		case <-again.C:
		}
	}
}

// Leader returns the broker that leads a partition.
func (c *KafkaCluster) Leader(ctx context.Context, topic string, partition int32) (*KafkaServer, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap()...))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	topics, err := kadm.NewClient(client).ListTopics(ctx, topic)
	if err != nil {
		return nil, err
	}
	leader := int(topics[topic].Partitions[partition].Leader)
	if leader < 1 || leader > len(c.Brokers) {
		return nil, fmt.Errorf("partition %d of %s has no leader: %w", partition, topic, topics[topic].Err)
	}
	return c.Brokers[leader-1], nil
}

// Bootstrap returns the addresses of all brokers.
func (c *KafkaCluster) Bootstrap() []string {
	var addresses []string
	for _, k := range c.Brokers {
		addresses = append(addresses, k.Bootstrap)
	}
	return addresses
}

// CreateTopic makes a topic with a copy on each broker, of which all but one must have
// an event before it is acknowledged.
func (c *KafkaCluster) CreateTopic(ctx context.Context, name string, partitions int32) error {
	copies := len(c.Brokers)
	return c.Brokers[0].createTopic(ctx, kafkaTopic{
		name, partitions, int16(copies), map[string]string{"min.insync.replicas": strconv.Itoa(copies - 1)},
	})
}

// Kill ends the brokers that run.
func (c *KafkaCluster) Kill() {
	for _, k := range c.Brokers {
		_ = k.Kill() // it ends with us in any case
	}
}

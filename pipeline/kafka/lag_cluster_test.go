package kafka_test

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/internal/testkit"
	"sluice/pipeline"
	"sluice/pipeline/kafka"
)

// lag reads the lag of groups of both protocols from Apache Kafka. The groups do not
// exist, have members without a commit, or a consumer with a lag. In the end the broker
// is killed.
func (c *cluster) lag(t *testing.T) {
	if err := c.CreateTopic(t.Context(), topic, 3, nil); err != nil {
		t.Fatal(err)
	}
	fill(t, c.Bootstrap, 0, time.Now().Add(-time.Minute), time.Now().Add(-time.Second))
	for name, options := range map[string][]kgo.Opt{
		"classic": nil, "KIP-848": {kgo.ServerSideBalancer()},
	} {
		t.Run(name, func(t *testing.T) { lagOfMember(t, c.Bootstrap, "indexer-"+name, options) })
	}
	r := lagReader(t, kafka.LagOptions{
		Options: kafka.Options{Brokers: []string{c.Bootstrap}}, Groups: []string{"indexer-classic"}, ReadTimeout: time.Second,
	})
	if lag := readOne(t, r); lag.Err != nil {
		t.Fatal(lag.Err)
	}
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if lag := readOne(t, r); lag.Err == nil || errors.Is(lag.Err, pipeline.ErrUnknownGroup) || time.Since(began) > 10*time.Second {
		t.Errorf("without a broker: %+v in %s", lag, time.Since(began))
	}
}

func lagOfMember(t *testing.T, broker, group string, options []kgo.Opt) {
	r := lagReader(t, kafka.LagOptions{Options: kafka.Options{Brokers: []string{broker}}, Groups: []string{group}})
	// The first request for a group creates the broker's topic of offsets.
	testkit.Eventually(t, "the group is unknown", func() bool { return errors.Is(readOne(t, r).Err, pipeline.ErrUnknownGroup) })
	options = append(options, kgo.SeedBrokers(broker), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	client, err := kgo.NewClient(options...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	fetched := client.PollRecords(t.Context(), 1)
	if err := fetched.Err(); err != nil {
		t.Fatal(err)
	}
	lag := readOne(t, r)
	if lag.Err != nil || lag.Records != 2 || lag.Age < time.Minute {
		t.Errorf("a member without a commit: %+v", lag)
	}
	if err := client.CommitRecords(t.Context(), fetched.Records()...); err != nil {
		t.Fatal(err)
	}
	if lag := readOne(t, r); lag.Err != nil || lag.Records != 1 || lag.Age < time.Second || lag.Age > 50*time.Second {
		t.Errorf("one record is left: %+v", lag)
	}
}

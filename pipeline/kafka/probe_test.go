package kafka_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/pipeline"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
)

// admin returns a client that administers a broker.
func admin(t *testing.T, broker string) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

func TestProbe(t *testing.T) {
	b := startBroker(t, embedded.Options{})
	v := newValve()
	l := openLog(t, kafka.Options{Brokers: []string{b.Addr()}, Dial: v.dial})
	if err := l.Probe(t.Context()); err != nil {
		t.Errorf("a topic that can be written: %v", err)
	}

	open := v.close()
	bounded, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := l.Probe(bounded); err == nil {
		t.Error("a broker that does not answer is no error")
	}
	open()
	if err := l.Probe(t.Context()); err != nil {
		t.Errorf("the broker answers again: %v", err)
	}

	if _, err := admin(t, b.Addr()).DeleteTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	err := l.Probe(t.Context())
	if !errors.Is(err, kerr.UnknownTopicOrPartition) || pipeline.KindOf(err) != pipeline.KindTemporary {
		t.Errorf("a topic that is gone: %v", err)
	}
}

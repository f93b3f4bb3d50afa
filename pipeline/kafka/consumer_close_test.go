package kafka_test

import (
	"net"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/pipeline/embedded"
)

// TestConsumerCloses closes a member whose broker takes connections and does not answer.
func TestConsumerCloses(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Options{Address: "127.0.0.1:" + testkit.FreePort(t), DataDir: t.TempDir(), Partitions: 2, Topic: topic})
	c := newConsumers(t, b.Addr(), topic)
	c.publish(0, 1)
	m := c.member()
	c.commit(m, c.poll(m, 1)...)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() // the kernel takes connections until then
	began := time.Now()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	// A client tries to leave for a minute by itself.
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
}

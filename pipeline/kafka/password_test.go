package kafka_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/internal/testkit"
	"sluice/pipeline"
	"sluice/pipeline/kafka"
	"sluice/pipeline/porttest"
)

// cutter dials connections and can close them all.
type cutter struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (c *cutter) dial(ctx context.Context, network, host string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, host)
	if err == nil {
		c.mu.Lock()
		c.conns = append(c.conns, conn)
		c.mu.Unlock()
	}
	return conn, err
}

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

// setPassword sets the SCRAM password of a user.
func (c *cluster) setPassword(t *testing.T, user, password string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	answers, err := kadm.NewClient(client).AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{
		{User: user, Mechanism: kadm.ScramSha512, Iterations: 4096, Password: password},
	})
	if err != nil || answers.Error() != nil {
		t.Fatalf("%v %v", err, answers.Error())
	}
}

// passwordReplaced checks that the log and the lag reader reread a refused password.
// Established connections must stay.
func (c *cluster) passwordReplaced(t *testing.T) {
	const user = "rotating"
	c.setPassword(t, user, "old-password")
	var password atomic.Pointer[string]
	var asked atomic.Int64
	hold := func(s string) { password.Store(&s) }
	hold("old-password")
	network := &cutter{}
	o := kafka.Options{
		Brokers: []string{c.SASLBootstrap}, Topic: c.newTopic(t), Dial: network.dial,
		SASL: &kafka.SASL{Mechanism: "SCRAM-SHA-512", Username: user, Password: "old-password",
			Reread: func(refused string) (string, bool) {
				asked.Add(1)
				held := *password.Load()
				return held, held != refused
			}},
	}
	var l *kafka.Log
	testkit.Eventually(t, "the broker knows the user", func() (ok bool) {
		var err error
		l, err = kafka.Open(t.Context(), o)
		return err == nil
	})
	t.Cleanup(func() { _ = l.Close() })
	asked.Store(0)
	lag, err := kafka.NewLagReader(kafka.LagOptions{Options: o, Groups: []string{"g"}})
	if err != nil {
		t.Fatal(err)
	}
	defer lag.Close()
	mustAnnounce(t, l)
	c.setPassword(t, user, "new-password")
	mustAnnounce(t, l) // on the established connection
	if asked.Load() != 0 {
		t.Error("reread without a refusal")
	}
	hold("new-password")
	network.cut()
	testkit.Eventually(t, "events are taken with the new password", func() bool {
		sent, err := porttest.Announce(l, porttest.Stored())
		return err == nil && sent.Err == nil
	})
	testkit.Eventually(t, "the lag is read with the new password", func() bool {
		return errors.Is(lag.Read(t.Context())[0].Err, pipeline.ErrUnknownGroup)
	})
	if asked.Load() == 0 {
		t.Error("never reread")
	}
}

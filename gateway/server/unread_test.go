package server

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/gateway/config"
	"sluice/internal/testkit"
)

// TestUnreadEvents fills the embedded log with events that the configured group has not
// read: mail is turned away before the log deletes them, and taken once they were read.
func TestUnreadEvents(t *testing.T) {
	r := launch(t, func(c *config.Config) {
		c.Events.Embedded.RetentionBytes = 4 * config.MiB
		c.Pressure.Lag.Groups = []string{"indexer"}
		c.Pressure.Lag.HighRecords, c.Pressure.Lag.HighAge = 0, 0
		c.Pressure.Lag.OnStale = config.StaleOpen // no group has committed yet
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(r.events.Address), kgo.DefaultProduceTopic(r.config.Events.Topic),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 8 {
		event := &kgo.Record{Value: make([]byte, 500<<10)}
		if err := client.ProduceSync(t.Context(), event).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "mail is turned away", func() bool { return strings.HasPrefix(r.send(t), "421 ") })
	r.expectSample(t, `sluice_pressure_cause{cause="unread_events",class="default"} 1`)
	r.expectSample(t, `sluice_events_deleted_unread_total{by="retention_bytes"} 0`)
	at := kadm.Offsets{}
	at.AddOffset(r.config.Events.Topic, 0, 8, -1)
	if err := kadm.NewClient(client).CommitAllOffsets(t.Context(), "indexer", at); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "mail is taken", func() bool { return strings.HasPrefix(r.send(t), "250 ") })
	r.end(t)
}

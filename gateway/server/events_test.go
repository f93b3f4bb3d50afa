package server

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/gateway/config"
	"sluice/internal/testkit"
)

// oneMail sends a message in a session of its own and expects its 250.
func (r *running) oneMail(t *testing.T) {
	t.Helper()
	c := r.dial(t)
	c.Begin()
	_, _ = io.WriteString(c.Conn, "Subject: x\r\n\r\ntext\r\n.\r\nQUIT\r\n")
	c.Expect("250")
	c.Expect("221")
}

// TestEmbeddedCompression checks that the embedded log's batches are compressed as
// configured, and by default not at all, so that every client can read them.
func TestEmbeddedCompression(t *testing.T) {
	for name, want := range map[string]uint8{"": 0, "lz4": 3} {
		r := launch(t, func(c *config.Config) {
			if name != "" {
				c.Events.Embedded.Compression = name
			}
		})
		r.oneMail(t)
		client, err := kgo.NewClient(kgo.SeedBrokers(r.events.Address), kgo.ConsumeTopics(r.config.Events.Topic))
		if err != nil {
			t.Fatal(err)
		}
		var records []*kgo.Record
		testkit.Eventually(t, "the event is read", func() bool {
			records = client.PollFetches(t.Context()).Records()
			return len(records) > 0
		})
		if len(records) != 1 || records[0].Attrs.CompressionType() != want {
			t.Errorf("compression %q: %d records, attributes %+v, want type %d", name, len(records), records[0].Attrs, want)
		}
		client.Close()
		r.end(t)
	}
}

// storedObjects counts the files of the objects.
func (r *running) storedObjects(t *testing.T) (n int) {
	t.Helper()
	err := filepath.WalkDir(r.config.ObjectsDir(), func(path string, entry os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".eml") {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSmallTopic checks that a topic of 6,000 bytes accepts, from 40 concurrent sessions,
// the events that fit it one by one. A message whose event never fits is refused and
// leaves no object.
func TestSmallTopic(t *testing.T) {
	r := launch(t, func(c *config.Config) { c.Store.Packing, c.Limits.Recipients = config.PackingOff, 5000 })
	client, err := kgo.NewClient(kgo.SeedBrokers(r.events.Address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	limit := "6000"
	_, err = kadm.NewClient(client).AlterTopicConfigs(t.Context(),
		[]kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &limit}}, r.config.Events.Topic)
	if err != nil {
		t.Fatal(err)
	}
	const sessions, each = 40, 5
	var group sync.WaitGroup
	for range sessions {
		group.Go(func() {
			for range each {
				r.oneMail(t)
			}
		})
	}
	group.Wait()

	// tooLarge sends a message with more recipients than the topic takes. It reports
	// whether the gateway knew the topic's limit, and so told the sender to send the rest
	// in another transaction; else the log's refusal tells it.
	tooLarge := func() (known bool) {
		t.Helper()
		c := r.dial(t)
		_, _ = io.WriteString(c.Conn, "EHLO x\r\nMAIL FROM:<a@example.com>\r\n")
		for _, line := range []string{"220", "250-", "250-", "250-", "250-", "250 ", "250"} {
			c.Expect(line)
		}
		for i := range 60 {
			fmt.Fprintf(c.Conn, "RCPT TO:<%d%s@example.net>\r\n", i, strings.Repeat("x", 60))
			line, err := c.In.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if known = strings.HasPrefix(line, "452 4.5.3 "); known {
				break
			}
		}
		_, _ = io.WriteString(c.Conn, "DATA\r\n")
		c.Expect("354")
		_, _ = io.WriteString(c.Conn, "Subject: x\r\n\r\ntext\r\n.\r\nQUIT\r\n")
		line, err := c.In.ReadString('\n')
		// Before the new limit was read, the event is taken for one that fits: 451.
		if code, _, _ := strings.Cut(line, " "); err != nil || known != (code == "250") || !known && code != "552" && code != "451" {
			t.Errorf("known %t: got %q, %v", known, line, err)
		}
		c.Expect("221")
		return known
	}
	before := r.storedObjects(t)
	if before != sessions*each {
		t.Errorf("%d objects of %d messages", before, sessions*each)
	}
	if !tooLarge() {
		testkit.Eventually(t, "the object is removed", func() bool { return r.storedObjects(t) == before })
		testkit.Eventually(t, "the limit is known", func() bool { return r.events.Topic().MaxMessageBytes == 6000 })
	}
	if !tooLarge() {
		t.Error("the limit is known, and no recipient was put off")
	}
	r.end(t)
}

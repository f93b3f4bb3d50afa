package embedded_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/internal/testkit"
	"sluice/pipeline"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
	"sluice/pipeline/porttest"
)

// openLog opens the log on a broker, which makes its events durable.
func openLog(t *testing.T, b *embedded.Broker) *kafka.Log {
	t.Helper()
	log, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{b.Addr()}, Topic: topic, Durable: b})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

func publish(t *testing.T, log *kafka.Log) error {
	t.Helper()
	sent, err := porttest.Announce(log, porttest.Stored())
	if err != nil {
		t.Fatal(err)
	}
	return sent.Err
}

// TestNeeded removes a file that the broker has open and needs after a kill. Soon no event
// is acknowledged any more.
func TestNeeded(t *testing.T) {
	for _, name := range []string{"lock", "meta.json", "topics.json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			b := start(t, o)
			if err := os.Remove(filepath.Join(o.DataDir, name)); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, "the log has failed", func() bool { return b.Usable() != nil })
			if err := b.Usable(); !strings.Contains(err.Error(), name+" was removed") {
				t.Error(err)
			}
		})
	}
}

// TestRemoved removes files under a running broker, which goes on writing into the
// deleted ones. No event may be acknowledged any more, and the log says why, once.
func TestRemoved(t *testing.T) {
	for name, remove := range map[string]func(data string) error{
		"all":       os.RemoveAll,
		"partition": func(data string) error { return os.RemoveAll(filepath.Join(data, "partitions", topic+"-0")) },
		"segment":   func(data string) error { return os.Remove(filepath.Join(data, "partitions", topic+"-0", "0.dat")) },
		"exchanged": func(data string) error {
			return errors.Join(os.Rename(data, data+".old"), os.CopyFS(data, os.DirFS(data+".old")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines bytes.Buffer
			o := options(t)
			o.Logger = slog.New(slog.NewTextHandler(&lines, nil))
			b, err := embedded.Start(o)
			if err != nil {
				t.Fatal(err)
			}
			log := openLog(t, b)
			if err := errors.Join(publish(t, log), b.Usable(), log.Probe(t.Context())); err != nil {
				t.Fatal(err)
			}
			if err := remove(o.DataDir); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := publish(t, log); err == nil || !strings.Contains(err.Error(), "while it was in use") {
					t.Errorf("after the files were removed: %v", err)
				}
			}
			if b.Usable() == nil || log.Probe(t.Context()) == nil {
				t.Error("the log says that it is usable")
			}
			_ = log.Close()
			_ = b.Close()
			if n := strings.Count(lines.String(), "level=ERROR"); n != 1 {
				t.Errorf("%d lines in the log, want 1: %s", n, lines.String())
			}
		})
	}
}

// TestDeadLettersMayBeRemoved deletes the topic of dead letters, which is made again by the
// next one. Mail goes on.
func TestDeadLettersMayBeRemoved(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.DeadLetters = kafka.DeadLetterTopic(topic)
	b := start(t, o)
	log := openLog(t, b)
	letters := kafka.NewDeadLetters(kafka.Options{Brokers: []string{b.Addr()}, Topic: topic, Durable: b}, "indexer")
	t.Cleanup(letters.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	segment := filepath.Join(o.DataDir, "partitions", o.DeadLetters+"-0", "0.dat")
	for range 3 {
		testkit.Eventually(t, "a letter is kept", func() bool {
			return letters.Put(t.Context(), []pipeline.Record{{Topic: topic, Value: []byte("{}")}}, []string{"event"}) == nil
		})
		if _, err := os.Stat(segment); err != nil {
			t.Error(err)
		}
		if _, err := kadm.NewClient(client).DeleteTopics(t.Context(), o.DeadLetters); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := errors.Join(publish(t, log), b.Usable()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

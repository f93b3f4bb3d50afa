package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/pipeline"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
)

func newDeadLetters(t *testing.T, broker, topic string) *kafka.DeadLetters {
	t.Helper()
	d := kafka.NewDeadLetters(kafka.Options{Brokers: []string{broker}, Topic: topic, Timeout: 10 * time.Second}, indexers)
	t.Cleanup(d.Close)
	return d
}

func listLetters(t *testing.T, d *kafka.DeadLetters) (all []*kafka.DeadLetter) {
	t.Helper()
	err := d.Each(t.Context(), func(l *kafka.DeadLetter) error {
		all = append(all, l)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Options{})
	deadLetters(newConsumers(t, b.Addr(), topic))
}

// deadLetters runs with the embedded broker and with Apache Kafka.
func deadLetters(c *consumers) {
	t := c.t
	d := newDeadLetters(t, c.broker, c.topic)
	if all := listLetters(t, d); len(all) != 0 {
		t.Errorf("%d letters without a topic", len(all))
	}
	one := pipeline.Record{
		Topic: c.topic, Partition: 3, Offset: 77, Key: []byte("key"), Value: []byte("value"),
		Headers: []pipeline.EventHeader{{Key: "ce_id", Value: []byte("1")}},
	}
	large := one
	large.Value = make([]byte, 5<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(large.Value) // it does not get smaller by compression
	reasons := []string{"digest: other octets", "event: " + strings.Repeat("x", 10_000)}
	if err := d.Put(t.Context(), []pipeline.Record{one, large}, reasons); err != nil {
		t.Fatal(err)
	}
	all := listLetters(t, d)
	if len(all) != 2 {
		t.Fatalf("%d letters", len(all))
	}
	got := all[0]
	if r := got.Record; r.Topic != one.Topic || r.Partition != 3 || r.Offset != 77 || string(r.Key) != "key" ||
		string(r.Value) != "value" || !slices.EqualFunc(r.Headers, one.Headers, sameHeader) ||
		got.Reason != "digest: other octets" || got.Cut || got.Replayed != 0 || time.Since(got.At) > time.Minute {
		t.Errorf("%+v", got)
	}
	if cut := all[1]; !cut.Cut || len(cut.Record.Value) == 0 || len(cut.Reason) > 1100 {
		t.Errorf("cut %v, %d bytes, %s", cut.Cut, len(cut.Record.Value), cut.Reason)
	}
	for n := 1; n <= 2; n++ { // it is poison again, and replayed again
		replayed, err := d.Replay(t.Context(), func(l *kafka.DeadLetter) bool { return l.Reason != "" })
		if err != nil || replayed != 1 {
			t.Fatalf("%d replayed: %v", replayed, err)
		}
		if all := listLetters(t, d); len(all) != 0 {
			t.Errorf("%d letters after they were replayed", len(all))
		}
		m := c.member()
		records := c.poll(m, 1)
		c.commit(m, records...)
		_ = m.Close()
		again := records[0]
		want := append(slices.Clone(one.Headers), pipeline.EventHeader{Key: "sluice-dlq-replayed", Value: fmt.Append(nil, n)})
		if string(again.Value) != "value" || !slices.EqualFunc(again.Headers, want, sameHeader) {
			t.Errorf("replayed %s with %v", again.Value, again.Headers)
		}
		if err := d.Put(t.Context(), []pipeline.Record{again}, []string{"digest: again"}); err != nil {
			t.Fatal(err)
		}
		if all := listLetters(t, d); len(all) != 1 || all[0].Replayed != n {
			t.Fatalf("%+v", all)
		}
	}
	if _, err := c.admin.DeleteTopics(t.Context(), kafka.DeadLetterTopic(c.topic)); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the topic is made anew", func() bool { // the old one may take a letter at its end
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return d.Put(ctx, []pipeline.Record{one}, []string{"again"}) == nil && errors.Is(d.Each(ctx, func(*kafka.DeadLetter) error { return errFound }), errFound)
	})
}

var errFound = errors.New("a letter is listed")

func sameHeader(a, b pipeline.EventHeader) bool {
	return a.Key == b.Key && bytes.Equal(a.Value, b.Value)
}

package kafka_test

import (
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
	"sluice/pipeline/porttest"
)

// announced reports whether an event was acknowledged.
func announced(l *kafka.Log) bool {
	sent, err := porttest.Announce(l, porttest.Stored())
	return err == nil && sent.Err == nil
}

// checkTakenAnew waits until events are taken by a topic that is back from now on. Once
// they have failed for long, the client is replaced every 4 s.
func checkTakenAnew(t *testing.T, l *kafka.Log) {
	t.Helper()
	const limit = 10 * time.Second
	began := time.Now()
	testkit.Eventually(t, "an event is taken by the new topic", func() bool { return announced(l) })
	took := time.Since(began)
	t.Logf("taken %v after the topic was back", took)
	if took > limit {
		t.Errorf("want at most %v", limit)
	}
}

// TestTopicMadeAnew deletes the topic and makes it again, under another id. A client of
// franz-go never takes that id.
func TestTopicMadeAnew(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Options{Partitions: 3})
	l := openLog(t, kafka.Options{Brokers: []string{b.Addr()}})
	mustAnnounce(t, l)
	broker := admin(t, b.Addr())
	for range 2 {
		if _, err := broker.DeleteTopics(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
		if announced(l) {
			t.Error("an event was acknowledged without a topic")
		}
		if _, err := broker.CreateTopic(t.Context(), 2, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
		checkTakenAnew(t, l)
	}
}

// TestTopicMadeAnewInSilence is the same while no event comes: the first one after it
// must not fail.
func TestTopicMadeAnewInSilence(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Options{Partitions: 3})
	replaced := make(chan string, 100)
	l := openLog(t, kafka.Options{
		Brokers: []string{b.Addr()}, RefreshInterval: 50 * time.Millisecond,
		ClientReplaced: func(cause string) { replaced <- cause },
	})
	mustAnnounce(t, l)
	if n := len(replaced); n != 0 {
		t.Errorf("%d clients were replaced at the start", n)
	}
	broker := admin(t, b.Addr())
	if _, err := broker.DeleteTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	if _, err := broker.CreateTopic(t.Context(), 2, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the new topic is known", func() bool { return l.Topic().Partitions == 2 })
	mustAnnounce(t, l)
	expect := func(want string) {
		t.Helper()
		testkit.Eventually(t, "the client is replaced: "+want, func() bool { return len(replaced) > 0 })
		if cause := <-replaced; cause != want {
			t.Errorf("the client was replaced: %s, want %s", cause, want)
		}
	}
	expect("topic_anew")
	setMaxMessage(t, b.Addr(), topic, smallTopic)
	expect(kafka.CauseSize)
}

// TestTopicReadAgain changes the settings of the topic while the log runs.
func TestTopicReadAgain(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Options{})
	l := openLog(t, kafka.Options{Brokers: []string{b.Addr()}, RefreshInterval: 50 * time.Millisecond})
	if got := l.Topic().MinInsyncReplicas; got != 1 {
		t.Errorf("min.insync.replicas %d", got)
	}
	setTopic(t, b.Addr(), topic, "min.insync.replicas", 2)
	testkit.Eventually(t, "min.insync.replicas is known", func() bool { return l.Topic().MinInsyncReplicas == 2 })
}

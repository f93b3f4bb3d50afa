package kafka_test

import (
	"errors"
	"maps"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/internal/testkit"
	"sluice/pipeline"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
	"sluice/pipeline/porttest"
)

// mustAnnounce publishes one event and returns its id and value.
func mustAnnounce(t *testing.T, l *kafka.Log) (id string, value []byte) {
	t.Helper()
	m := porttest.Stored()
	id, value = m.ID.String(), pipeline.AppendEvent(nil, m)
	sent, err := porttest.Announce(l, m)
	if err != nil || sent.Err != nil {
		t.Fatalf("%v %v", err, sent.Err)
	}
	return id, value
}

// TestRecord checks what a consumer gets: key, value, and the attributes of the
// CloudEvents Kafka binding as headers.
func TestRecord(t *testing.T) {
	b := startBroker(t, embedded.Options{})
	l := openLog(t, kafka.Options{Brokers: []string{b.Addr()}})
	id, value := mustAnnounce(t, l)

	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumeTopics(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	records := client.PollFetches(t.Context()).Records()
	if len(records) != 1 {
		t.Fatalf("%d records", len(records))
	}
	r := records[0]
	if string(r.Key) != id || string(r.Value) != string(value) {
		t.Errorf("record %s %s, want %s %s", r.Key, r.Value, id, value)
	}
	headers := map[string]string{}
	for _, h := range r.Headers {
		headers[h.Key] = string(h.Value)
	}
	event, err := pipeline.ParseEvent(value)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"ce_specversion": "1.0",
		"ce_type":        "sluice.mail.received.v1",
		"ce_source":      "//mx.example.net/sluice",
		"ce_id":          id,
		"ce_time":        event.ReceivedAt.Format("2006-01-02T15:04:05.000Z"),
		"content-type":   "application/json",
	} {
		if headers[key] != want {
			t.Errorf("header %s is %q, want %q", key, headers[key], want)
		}
	}
}

// TestPositions checks that each result has the place of its event in the topic, also that
// of an event which was published alone after its batch was refused.
func TestPositions(t *testing.T) {
	b := startBroker(t, embedded.Options{Partitions: 2})
	l := openLog(t, kafka.Options{Brokers: []string{b.Addr()}, RefreshInterval: time.Hour, Compression: "none", Durable: b})
	var lock sync.Mutex
	want := map[pipeline.Position]string{}
	publish := func() {
		var group sync.WaitGroup
		for range 40 {
			group.Go(func() {
				m := sized(1500)
				id := m.ID.String()
				sent, err := porttest.Announce(l, m)
				if err != nil || sent.Err != nil {
					t.Errorf("%v %v", err, sent.Err)
				}
				lock.Lock()
				defer lock.Unlock()
				want[sent.Event] = id
			})
		}
		group.Wait()
	}
	publish()
	setMaxMessage(t, b.Addr(), topic, smallTopic)
	publish()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumeTopics(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	got := map[pipeline.Position]string{}
	for len(got) < 80 && t.Context().Err() == nil {
		client.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
			got[pipeline.Position{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}] = string(r.Key)
		})
	}
	if !maps.Equal(got, want) {
		t.Errorf("the topic has %v, the results said %v", got, want)
	}
}

// TestKcat reads an event with an independent client.
func TestKcat(t *testing.T) {
	kcat := testkit.Tool(t, "kcat")
	b := startBroker(t, embedded.Options{Partitions: 2})
	l := openLog(t, kafka.Options{Brokers: []string{b.Addr()}})
	id, value := mustAnnounce(t, l)
	command := exec.CommandContext(t.Context(), kcat, "-b", b.Addr(), "-C", "-t", topic, "-o", "beginning", "-e", "-q",
		"-f", `%k\n%h\n%s\n`)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(string(out), "\n")
	if len(lines) < 3 || lines[0] != id || lines[2] != string(value) || !strings.Contains(lines[1], "ce_id="+id) {
		t.Errorf("kcat printed %q, want key %s, headers, value %s", out, id, value)
	}
}

func TestTopicInfo(t *testing.T) {
	b := startBroker(t, embedded.Options{Partitions: 3})
	l := openLog(t, kafka.Options{Brokers: []string{b.Addr()}})
	want := kafka.TopicInfo{Name: topic, Partitions: 3, ReplicationFactor: 1, MinInsyncReplicas: 1, MaxMessageBytes: 1<<20 + 12}
	if got := l.Topic(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestMissingTopic(t *testing.T) {
	b := startBroker(t, embedded.Options{})
	_, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{b.Addr()}, Topic: "nobody.made.it"})
	if !errors.Is(err, kerr.UnknownTopicOrPartition) || !strings.Contains(err.Error(), "nobody.made.it") {
		t.Errorf("error %v", err)
	}
}

// TestBrokerComesLater opens the log before there is a broker. That is no error: events
// fail in time, and succeed once the broker is there.
func TestBrokerComesLater(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	l := openLog(t, kafka.Options{Brokers: []string{address}, Timeout: 2 * time.Second})
	sent, err := porttest.Announce(l, porttest.Stored())
	if err != nil {
		t.Fatal(err)
	}
	if sent.Err == nil {
		t.Error("an event was acknowledged without a broker")
	}
	if got := l.Topic(); got != (kafka.TopicInfo{Name: topic}) {
		t.Errorf("topic %+v", got)
	}
	startBroker(t, embedded.Options{Address: address})
	testkit.Eventually(t, "an event is taken", func() bool {
		sent, err := porttest.Announce(l, porttest.Stored())
		return err == nil && sent.Err == nil
	})
	testkit.Eventually(t, "the topic is known", func() bool { return l.Topic().ReplicationFactor == 1 })
}

// TestBlackHole publishes to a broker that swallows everything. The result must come in
// bounded time, and later events must succeed once it answers again.
func TestBlackHole(t *testing.T) {
	b := startBroker(t, embedded.Options{})
	v := newValve()
	const timeout = 3 * time.Second
	l := openLog(t, kafka.Options{Brokers: []string{b.Addr()}, Timeout: timeout, Dial: v.dial})
	mustAnnounce(t, l) // so that the next one uses an established connection
	open := v.close()
	began := time.Now()
	sent, err := porttest.Announce(l, porttest.Stored())
	if err != nil {
		t.Fatal(err)
	}
	if kind := pipeline.KindOf(sent.Err); kind != pipeline.KindTimeout {
		t.Errorf("kind %s: %v", kind, sent.Err)
	}
	if took := time.Since(began); took > 4*timeout {
		t.Errorf("the result took %s", took)
	}
	open()
	testkit.Eventually(t, "an event is taken", func() bool {
		sent, err := porttest.Announce(l, porttest.Stored())
		return err == nil && sent.Err == nil
	})
}

// TestCloseIsBounded closes a log whose broker does not answer.
func TestCloseIsBounded(t *testing.T) {
	b := startBroker(t, embedded.Options{})
	v := newValve()
	l := openLog(t, kafka.Options{Brokers: []string{b.Addr()}, CloseTimeout: 200 * time.Millisecond, Dial: v.dial})
	mustAnnounce(t, l)
	// An event counts until its result has returned, which mustAnnounce does not wait for.
	testkit.Eventually(t, "the first event is done", func() bool { return l.Depth() == 0 })
	defer v.close()()
	result := make(chan error, 1)
	go func() {
		sent, err := porttest.Announce(l, porttest.Stored())
		if err == nil {
			err = sent.Err
		}
		result <- err
	}()
	testkit.Eventually(t, "the event is in flight", func() bool { return l.Depth() == 1 })
	began := time.Now()
	if err := l.Close(); err == nil {
		t.Error("Close returned no error, though it failed an event")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("Close took %s", took)
	}
	if err := <-result; err == nil {
		t.Error("the event was acknowledged without a broker")
	}
}

package kafka_test

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/internal/testkit"
	"sluice/pipeline"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
	"sluice/pipeline/porttest"
)

// smallTopic is a max.message.bytes that one event with a few recipients fits, and seven
// of them together do not.
const smallTopic = 6000

// setMaxMessage sets a topic's max.message.bytes.
func setMaxMessage(t *testing.T, broker, topic string, size int) {
	t.Helper()
	setTopic(t, broker, topic, "max.message.bytes", size)
}

// setTopic sets one of a topic's settings.
func setTopic(t *testing.T, broker, topic, key string, number int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	value := strconv.Itoa(number)
	answers, err := kadm.NewClient(client).AlterTopicConfigs(t.Context(),
		[]kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}, topic)
	if err != nil || len(answers) != 1 || answers[0].Err != nil {
		t.Fatalf("%v %+v", err, answers)
	}
}

// sized returns a stored message whose event has about this size and does not compress
// well.
func sized(size int) *pipeline.Message {
	m := porttest.Stored()
	for i := 0; len(pipeline.AppendEvent(nil, m)) < size; i++ {
		id := pipeline.NewID(time.Now().Add(time.Duration(i)*time.Hour), pseudo(len(m.ID.String())*i+int(m.ID[15])))
		m.Envelope.AddRecipient([]byte(id.String() + "@example.net"))
	}
	return m
}

type pseudo int

func (p pseudo) Uint64() uint64 { return uint64(p+1) * 0x9e3779b97f4a7c15 }

// announceAll publishes this many events from each of 40 sessions and returns the
// failures.
func announceAll(t *testing.T, l *kafka.Log, each int, event func() *pipeline.Message) (failures []error) {
	t.Helper()
	var lock sync.Mutex
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			for range each {
				sent, err := porttest.Announce(l, event())
				if err == nil {
					err = sent.Err
				}
				if err != nil {
					lock.Lock()
					failures = append(failures, err)
					lock.Unlock()
				}
			}
		})
	}
	group.Wait()
	return failures
}

// checkNeighbours publishes events that all fit alone. None may fail because it shared a
// batch.
func checkNeighbours(t *testing.T, l *kafka.Log) {
	t.Helper()
	failures := announceAll(t, l, 20, func() *pipeline.Message { return sized(1500) })
	if len(failures) > 0 {
		t.Errorf("%d of 800 events that fit alone were refused: %v", len(failures), failures[0])
	}
}

// checkTooLarge publishes an event that is too large for the topic.
func checkTooLarge(t *testing.T, l *kafka.Log, size int) {
	t.Helper()
	sent, err := porttest.Announce(l, sized(size))
	if err != nil || pipeline.KindOf(sent.Err) != pipeline.KindEventTooLarge {
		t.Errorf("an event of %d bytes: %v %v", size, err, sent.Err)
	}
}

// fits checks that EventLimit follows from the limit of the topic.
func fits(t *testing.T, l *kafka.Log, topicLimit int) {
	t.Helper()
	if got := l.EventLimit(); got > int64(topicLimit) || got < int64(topicLimit)-250 {
		t.Errorf("a topic of %d bytes takes events of %d", topicLimit, got)
	}
}

// TestSmallTopic checks that the limit of the topic is read, that batches keep below it,
// and that a new limit is noticed.
func TestSmallTopic(t *testing.T) {
	b := startBroker(t, embedded.Options{})
	setMaxMessage(t, b.Addr(), topic, smallTopic)
	found := make(chan kafka.TopicInfo, 10)
	l := openLog(t, kafka.Options{
		Brokers: []string{b.Addr()}, RefreshInterval: 20 * time.Millisecond, Compression: "none",
		Found: func(i kafka.TopicInfo) { found <- i },
	})
	if i := <-found; i.MaxMessageBytes != smallTopic {
		t.Errorf("found %+v", i)
	}
	fits(t, l, smallTopic)
	checkNeighbours(t, l)
	checkTooLarge(t, l, smallTopic+1)

	setMaxMessage(t, b.Addr(), topic, 50_000)
	if i := <-found; i.MaxMessageBytes != 50_000 {
		t.Errorf("found %+v", i)
	}
	fits(t, l, 50_000)
	sent, err := porttest.Announce(l, sized(40_000))
	if err != nil || sent.Err != nil {
		t.Errorf("an event that fits the new limit: %v %v", err, sent.Err)
	}
}

// TestExactLimit checks that the topic takes what EventLimit allows, without compression.
func TestExactLimit(t *testing.T) {
	b := startBroker(t, embedded.Options{})
	setMaxMessage(t, b.Addr(), topic, smallTopic)
	l := openLog(t, kafka.Options{Brokers: []string{b.Addr()}, Compression: "none"})
	for spare := range 300 {
		m := porttest.Stored()
		m.Summary.MessageID = nil
		fill := l.EventLimit() - (m.EventBound() - pipeline.VerdictReserve) - int64(spare)
		m.Summary.MessageID = bytes.Repeat([]byte{'x'}, int(fill))
		sent, err := porttest.Announce(l, m)
		if err != nil || sent.Err != nil {
			t.Fatalf("%d bytes below the limit: %v %v", spare, err, sent.Err)
		}
	}
}

// TestLimitLowered lowers the limit, so that batches are refused. Their events must be
// published one by one, and the limit must be read again.
func TestLimitLowered(t *testing.T) {
	b := startBroker(t, embedded.Options{})
	l := openLog(t, kafka.Options{Brokers: []string{b.Addr()}, RefreshInterval: time.Hour, Compression: "none"})
	setMaxMessage(t, b.Addr(), topic, smallTopic)
	checkNeighbours(t, l)
	testkit.Eventually(t, "the limit is known", func() bool { return l.Topic().MaxMessageBytes == smallTopic })
	checkTooLarge(t, l, smallTopic+1)
	fits(t, l, smallTopic)
}

// TestLimitDenied checks that an event only fails for its own size where the limit may
// not be read.
func TestLimitDenied(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	broker := cluster.ListenAddrs()[0]
	setMaxMessage(t, broker, topic, smallTopic)
	cluster.ControlKey(int16(kmsg.DescribeConfigs), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		answer := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		resource := kmsg.NewDescribeConfigsResponseResource()
		resource.ResourceName, resource.ResourceType = topic, kmsg.ConfigResourceTypeTopic
		resource.ErrorCode = kerr.TopicAuthorizationFailed.Code
		answer.Resources = append(answer.Resources, resource)
		return answer, nil, true
	})
	l := openLog(t, kafka.Options{Brokers: []string{broker}, Compression: "none"})
	if l.EventLimit() != 0 || l.Topic().MaxMessageBytes != 0 {
		t.Errorf("limit %d, %+v", l.EventLimit(), l.Topic())
	}
	var group sync.WaitGroup
	group.Go(func() {
		for range 20 {
			checkTooLarge(t, l, smallTopic+1)
		}
	})
	checkNeighbours(t, l)
	group.Wait()
	if l.EventLimit() != 0 {
		t.Errorf("limit %d", l.EventLimit())
	}
}

// TestClosedWhileRefused closes the log while batches are refused. Each event must have
// one result, and only one that was tried alone may be called too large.
func TestClosedWhileRefused(t *testing.T) {
	b := startBroker(t, embedded.Options{})
	l := openLog(t, kafka.Options{Brokers: []string{b.Addr()}, RefreshInterval: time.Hour, Compression: "none"})
	setMaxMessage(t, b.Addr(), topic, smallTopic)
	closed := make(chan error, 1)
	var begun atomic.Int32
	event := func() *pipeline.Message {
		if begun.Add(1) == 400 { // in the middle
			go func() { closed <- l.Close() }()
		}
		return sized(1500)
	}
	for _, err := range announceAll(t, l, 20, event) {
		if kind := pipeline.KindOf(err); kind != pipeline.KindTemporary && kind != pipeline.KindTimeout {
			t.Errorf("kind %s: %v", kind, err)
		}
	}
	if err := <-closed; err != nil && !strings.Contains(err.Error(), "unanswered") {
		t.Error(err)
	}
}

package kafka_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/internal/testkit"
	"sluice/loadtest/stack"
	"sluice/pipeline"
	"sluice/pipeline/kafka"
	"sluice/pipeline/porttest"
)

// TestCluster runs on Apache Kafka itself. Its parts share one broker. Those that stop it
// come last.
func TestCluster(t *testing.T) {
	k := stack.Kafka(t, stack.KafkaSettings{Secured: true, Properties: []string{
		// ACLs hold for a topic that has some; anonymous users may do everything.
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users=User:ANONYMOUS", "allow.everyone.if.no.acl.found=true",
	}})
	c := &cluster{KafkaServer: k}
	t.Run("conformance", c.conformance)
	t.Run("security", c.security)
	t.Run("refused", c.refused)
	t.Run("missing topic", c.missingTopic)
	t.Run("creates its topic", c.createsTopic)
	t.Run("compression", c.compression)
	t.Run("password replaced", c.passwordReplaced)
	t.Run("small topic", c.smallTopic)
	t.Run("limit denied", c.limitDenied)
	t.Run("made anew", c.madeAnew)
	t.Run("consumers", c.consumers)
	t.Run("faults", c.faults)
	t.Run("paused", c.paused)
	t.Run("killed", c.killed)
	t.Run("lag", c.lag) // the broker does not come back
}

type cluster struct {
	*stack.KafkaServer
	topics atomic.Int64
}

// newTopic creates an empty topic.
func (c *cluster) newTopic(t *testing.T) string {
	t.Helper()
	name := fmt.Sprint(topic, ".", c.topics.Add(1))
	if err := c.CreateTopic(t.Context(), name, 3, nil); err != nil {
		t.Fatal(err)
	}
	return name
}

// open opens a log on the plain listener.
func (c *cluster) open(t *testing.T, o kafka.Options) *kafka.Log {
	t.Helper()
	if o.Brokers == nil {
		o.Brokers = []string{c.Bootstrap}
	}
	if o.Topic == "" {
		o.Topic = c.newTopic(t)
	}
	l, err := kafka.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func (c *cluster) conformance(t *testing.T) {
	porttest.EventLog(t, func(t *testing.T) porttest.LogUnderTest {
		o := kafka.Options{Brokers: []string{c.Bootstrap}, Topic: c.newTopic(t), Queue: 1000, Timeout: 15 * time.Second}
		l := c.open(t, o)
		return porttest.LogUnderTest{
			Log:      l,
			Read:     kafka.NewReader(o).Read,
			Close:    l.Close,
			SetLimit: func(bytes int) { setMaxMessage(t, c.Bootstrap, o.Topic, bytes) },
			Stall: func() (resume func()) {
				if err := c.Pause(); err != nil {
					t.Fatal(err)
				}
				return func() {
					if err := c.Resume(); err != nil {
						t.Error(err)
					}
				}
			},
		}
	})
}

// sasl returns valid credentials for a mechanism.
func (c *cluster) sasl(mechanism string) *kafka.SASL {
	return &kafka.SASL{Mechanism: mechanism, Username: c.Username, Password: c.Password}
}

// security publishes by every listener and mechanism.
func (c *cluster) security(t *testing.T) {
	trusted := &kafka.TLS{CAFile: c.CAFile}
	ways := map[string]kafka.Options{
		"TLS":       {Brokers: []string{c.TLSBootstrap}, TLS: trusted},
		"TLS, name": {Brokers: []string{c.TLSBootstrap}, TLS: &kafka.TLS{CAFile: c.CAFile, ServerName: stack.ServerName}},
	}
	for _, mechanism := range kafka.Mechanisms() {
		ways[mechanism] = kafka.Options{Brokers: []string{c.SASLBootstrap}, SASL: c.sasl(mechanism)}
		ways[mechanism+" in TLS"] = kafka.Options{
			Brokers: []string{c.SASLTLSBootstrap}, SASL: c.sasl(mechanism), TLS: trusted,
		}
	}
	for name, o := range ways {
		t.Run(name, func(t *testing.T) {
			o.Topic = c.newTopic(t)
			l := c.open(t, o)
			id, _ := mustAnnounce(t, l)
			var keys []string
			err := kafka.NewReader(o).Read(t.Context(), func(key, _ []byte, _ []pipeline.EventHeader) error {
				keys = append(keys, string(key))
				return nil
			})
			if err != nil || !slices.Equal(keys, []string{id}) {
				t.Errorf("read %v %v, want %s", keys, err, id)
			}
			consumers := newConsumers(t, c.Bootstrap, o.Topic)
			m := consumers.member(func(co *kafka.ConsumerOptions) { co.Options = o })
			records := consumers.poll(m, 1)
			consumers.commit(m, records...)
			letters := kafka.NewDeadLetters(o, indexers)
			defer letters.Close()
			if err := letters.Put(t.Context(), records[:1], []string{"event"}); err != nil {
				t.Error(err)
			}
		})
	}
}

// refused opens logs with a permanent error: Open must return it at once.
func (c *cluster) refused(t *testing.T) {
	wrong := c.sasl("SCRAM-SHA-512")
	wrong.Password = "guessed"
	wrongPlain := c.sasl("PLAIN")
	wrongPlain.Password = "guessed"
	trusted := &kafka.TLS{CAFile: c.CAFile}
	for name, ways := range map[string]struct {
		o    kafka.Options
		want string // part of the error
	}{
		"password":        {kafka.Options{Brokers: []string{c.SASLBootstrap}, SASL: wrong}, "SASL_AUTHENTICATION_FAILED"},
		"password, PLAIN": {kafka.Options{Brokers: []string{c.SASLTLSBootstrap}, SASL: wrongPlain, TLS: trusted}, "SASL_AUTHENTICATION_FAILED"},
		"authority":       {kafka.Options{Brokers: []string{c.TLSBootstrap}, TLS: &kafka.TLS{}}, "certificate signed by unknown authority"},
		"name": {kafka.Options{Brokers: []string{c.TLSBootstrap}, TLS: &kafka.TLS{CAFile: c.CAFile, ServerName: "mx.example.net"}},
			"not mx.example.net"},
		"mechanism":   {kafka.Options{Brokers: []string{c.SASLBootstrap}, SASL: &kafka.SASL{Mechanism: "GUESS"}}, "GUESS"},
		"compression": {kafka.Options{Brokers: []string{c.Bootstrap}, Compression: "rar"}, "rar"},
		"CA file":     {kafka.Options{Brokers: []string{c.TLSBootstrap}, TLS: &kafka.TLS{CAFile: "/dev/null"}}, "no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ways.o.Topic = topic
			began := time.Now()
			l, err := kafka.Open(t.Context(), ways.o)
			if err == nil {
				l.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), ways.want) {
				t.Errorf("error %v, want %s in it", err, ways.want)
			}
			if strings.Contains(err.Error(), "guessed") {
				t.Errorf("the error shows the password: %v", err)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func (c *cluster) missingTopic(t *testing.T) {
	_, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{c.Bootstrap}, Topic: "nobody.made.it"})
	var missing *kafka.MissingTopicError
	if !errors.As(err, &missing) || !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"kafka-topics.sh", "--bootstrap-server " + c.Bootstrap, "--topic nobody.made.it"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %s", err, want)
		}
	}
}

func (c *cluster) createsTopic(t *testing.T) {
	found := make(chan kafka.TopicInfo, 2)
	o := kafka.Options{
		Topic:       "made.by.us",
		CreateTopic: &kafka.CreateTopic{Partitions: 5, Replication: 1},
		Found:       func(i kafka.TopicInfo) { found <- i },
	}
	l := c.open(t, o)
	want := kafka.TopicInfo{Name: "made.by.us", Partitions: 5, ReplicationFactor: 1, MinInsyncReplicas: 1, MaxMessageBytes: 1<<20 + 12}
	if got := l.Topic(); got != want || <-found != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	mustAnnounce(t, l)
	mustAnnounce(t, c.open(t, o)) // the second gateway finds it there

	o.Topic, o.CreateTopic = "more.copies.than.brokers", &kafka.CreateTopic{Partitions: 1, Replication: 3}
	o.Brokers = []string{c.Bootstrap}
	if _, err := kafka.Open(t.Context(), o); !errors.Is(err, kerr.InvalidReplicationFactor) {
		t.Errorf("error %v", err)
	}
}

func (c *cluster) compression(t *testing.T) {
	for _, name := range kafka.Compressions() {
		mustAnnounce(t, c.open(t, kafka.Options{Compression: name}))
	}
}

// madeAnew deletes the topic and makes it again, and then changes a setting of it.
func (c *cluster) madeAnew(t *testing.T) {
	o := kafka.Options{Topic: c.newTopic(t), RefreshInterval: time.Second}
	l := c.open(t, o)
	mustAnnounce(t, l)
	if _, err := admin(t, c.Bootstrap).DeleteTopics(t.Context(), o.Topic); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the topic is gone", func() bool { return !announced(l) })
	if err := c.CreateTopic(t.Context(), o.Topic, 2, nil); err != nil {
		t.Fatal(err)
	}
	checkTakenAnew(t, l)
	setTopic(t, c.Bootstrap, o.Topic, "min.insync.replicas", 2)
	testkit.Eventually(t, "min.insync.replicas is known", func() bool { return l.Topic().MinInsyncReplicas == 2 })
}

// smallTopic publishes by 40 sessions to a topic with a limit of 6,000 bytes. No event
// may be refused: batches keep below the limit, before and after it changes.
func (c *cluster) smallTopic(t *testing.T) {
	o := kafka.Options{Topic: c.newTopic(t), RefreshInterval: 50 * time.Millisecond, Compression: "none"}
	l := c.open(t, o)
	fits(t, l, 1<<20+12)
	setMaxMessage(t, c.Bootstrap, o.Topic, smallTopic)
	checkNeighbours(t, l)
	testkit.Eventually(t, "the limit is known", func() bool { return l.Topic().MaxMessageBytes == smallTopic })
	fits(t, l, smallTopic)
	checkNeighbours(t, l)
	checkTooLarge(t, l, smallTopic+1)
}

// limitDenied publishes as a user who may write the topic but not describe its configs.
func (c *cluster) limitDenied(t *testing.T) {
	o := kafka.Options{
		Brokers: []string{c.SASLBootstrap}, SASL: c.sasl("PLAIN"), Topic: c.newTopic(t), Compression: "none",
	}
	setMaxMessage(t, c.Bootstrap, o.Topic, smallTopic)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	rights := kadm.NewACLs().Topics(o.Topic).Allow("User:"+c.Username).AllowHosts("*").
		ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpWrite, kadm.OpDescribe)
	if made, err := kadm.NewClient(client).CreateACLs(t.Context(), rights); err != nil || made[0].Err != nil {
		t.Fatalf("%v %+v", err, made)
	}
	l := c.open(t, o)
	if l.EventLimit() != 0 || l.Topic().MaxMessageBytes != 0 || l.Topic().Partitions == 0 {
		t.Errorf("limit %d, %+v", l.EventLimit(), l.Topic())
	}
	checkNeighbours(t, l)
	checkTooLarge(t, l, smallTopic+1)
}

// consumers runs the tests of consumers and of dead letters.
func (c *cluster) consumers(t *testing.T) {
	for name, test := range consumerTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newConsumers(t, c.Bootstrap, c.fourPartitions(t)))
		})
	}
	t.Run("dead letters", func(t *testing.T) {
		t.Parallel()
		deadLetters(newConsumers(t, c.Bootstrap, c.fourPartitions(t)))
	})
}

func (c *cluster) fourPartitions(t *testing.T) string {
	t.Helper()
	name := fmt.Sprint(topic, ".", c.topics.Add(1))
	if err := c.CreateTopic(t.Context(), name, 4, nil); err != nil {
		t.Fatal(err)
	}
	return name
}

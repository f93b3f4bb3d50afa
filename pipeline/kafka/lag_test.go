package kafka_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/internal/testkit"
	"sluice/pipeline"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
)

// fill writes records with these times to a partition of the topic.
func fill(t *testing.T, broker string, partition int32, times ...time.Time) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, at := range times {
		r := &kgo.Record{Partition: partition, Timestamp: at, Value: []byte("x")}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// commit sets the offsets of a group, as an operator does.
func commit(t *testing.T, broker, group string, at map[int32]int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var offsets kadm.Offsets
	for partition, offset := range at {
		offsets.AddOffset(topic, partition, offset, -1)
	}
	if err := kadm.NewClient(client).CommitAllOffsets(t.Context(), group, offsets); err != nil {
		t.Fatal(err)
	}
}

func lagReader(t *testing.T, o kafka.LagOptions) *kafka.LagReader {
	t.Helper()
	o.Topic = topic
	r, err := kafka.NewLagReader(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// readOne reads the lag of the only group.
func readOne(t *testing.T, r *kafka.LagReader) pipeline.Lag {
	t.Helper()
	lags := r.Read(t.Context())
	if len(lags) != 1 {
		t.Fatalf("%d lags", len(lags))
	}
	return lags[0]
}

func TestLag(t *testing.T) {
	b := startBroker(t, embedded.Options{Partitions: 3})
	now := time.Now().Truncate(time.Millisecond)
	ago := func(seconds int) time.Time { return now.Add(-time.Duration(seconds) * time.Second) }
	fill(t, b.Addr(), 0, ago(1000), ago(900), ago(30))
	fill(t, b.Addr(), 1, ago(800), ago(7))
	const group = "indexer"
	commit(t, b.Addr(), group, map[int32]int64{0: 2, 1: 1})
	o := kafka.LagOptions{
		Options: kafka.Options{Brokers: []string{b.Addr()}}, Groups: []string{group},
		Now: func() time.Time { return now },
	}
	r := lagReader(t, o)
	expect := func(when string, r *kafka.LagReader, records int64, age time.Duration) {
		t.Helper()
		lag := readOne(t, r)
		if lag.Err != nil || lag.Group != group || lag.Records != records || lag.Age < age || lag.Age > age+age/7+100*time.Millisecond {
			t.Errorf("%s: %+v, want %d records, %s", when, lag, records, age)
		}
	}
	expect("two partitions", r, 2, 30*time.Second)
	commit(t, b.Addr(), group, map[int32]int64{0: 3})
	expect("one is done", r, 1, 7*time.Second)
	commit(t, b.Addr(), group, map[int32]int64{1: 2})
	expect("both are done", r, 0, 0)
	fill(t, b.Addr(), 2, ago(60), ago(3))
	expect("a partition without a commit", r, 2, time.Minute)
	o.IgnoreUncommitted = true
	ignoring := lagReader(t, o)
	expect("and ignored", ignoring, 0, 0)
	commit(t, b.Addr(), group, map[int32]int64{2: 1})
	expect("it has one", ignoring, 1, 3*time.Second)
	commit(t, b.Addr(), group, map[int32]int64{2: 1000})
	expect("a commit past the end", r, 0, 0)
}

// TestLagOfUnknownGroup checks that a group that does not exist has no lag, not even 0,
// whatever the topic holds and however missing commits count.
func TestLagOfUnknownGroup(t *testing.T) {
	b := startBroker(t, embedded.Options{})
	for _, ignore := range []bool{false, true} {
		r := lagReader(t, kafka.LagOptions{
			Options: kafka.Options{Brokers: []string{b.Addr()}}, Groups: []string{"nobody"}, IgnoreUncommitted: ignore,
		})
		if lag := readOne(t, r); !errors.Is(lag.Err, pipeline.ErrUnknownGroup) {
			t.Errorf("ignore %v: %+v", ignore, lag)
		}
	}
	fill(t, b.Addr(), 0, time.Now())
	r := lagReader(t, kafka.LagOptions{Options: kafka.Options{Brokers: []string{b.Addr()}}, Groups: []string{"nobody", "indexer"}})
	commit(t, b.Addr(), "indexer", map[int32]int64{0: 0})
	lags := r.Read(t.Context())
	if !errors.Is(lags[0].Err, pipeline.ErrUnknownGroup) {
		t.Errorf("%+v", lags[0])
	}
	if lags[1].Err != nil || lags[1].Records != 1 {
		t.Errorf("the other group: %+v", lags[1])
	}
}

// TestLagOfMembersWithoutCommit checks that a group that has joined exists, with the
// whole topic as its lag. Otherwise a first start would be a deadlock: no mail before
// there is a commit, and no commit before there is mail.
func TestLagOfMembersWithoutCommit(t *testing.T) {
	b := startBroker(t, embedded.Options{})
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumerGroup("indexer"), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	go client.PollFetches(t.Context())
	r := lagReader(t, kafka.LagOptions{Options: kafka.Options{Brokers: []string{b.Addr()}}, Groups: []string{"indexer"}})
	testkit.Eventually(t, "the group is seen", func() bool {
		lag := readOne(t, r)
		return lag.Err == nil && lag.Records == 0
	})
	fill(t, b.Addr(), 0, time.Now())
	if lag := readOne(t, r); lag.Err != nil || lag.Records != 1 {
		t.Errorf("%+v", lag)
	}
}

// TestLagOfBlackHole reads from a broker that swallows everything. That must be an error
// in bounded time, not a lag, and it must recover.
func TestLagOfBlackHole(t *testing.T) {
	b := startBroker(t, embedded.Options{})
	commit(t, b.Addr(), "indexer", map[int32]int64{0: 0})
	v := newValve()
	r := lagReader(t, kafka.LagOptions{
		Options:     kafka.Options{Brokers: []string{b.Addr()}, Dial: v.dial},
		Groups:      []string{"indexer"},
		ReadTimeout: 500 * time.Millisecond,
	})
	if lag := readOne(t, r); lag.Err != nil {
		t.Fatal(lag.Err)
	}
	open := v.close()
	began := time.Now()
	if lag := readOne(t, r); lag.Err == nil || errors.Is(lag.Err, pipeline.ErrUnknownGroup) {
		t.Errorf("%+v", lag)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a reading of 0.5 s took %s", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if lag := r.Read(ctx)[0]; lag.Err == nil {
		t.Error("read although it was told to end")
	}
	open()
	testkit.Eventually(t, "the lag is read again", func() bool { return readOne(t, r).Err == nil })
}

func TestLagWithoutTopic(t *testing.T) {
	b := startBroker(t, embedded.Options{})
	commit(t, b.Addr(), "indexer", map[int32]int64{0: 0})
	r, err := kafka.NewLagReader(kafka.LagOptions{
		Options: kafka.Options{Brokers: []string{b.Addr()}, Topic: "nobody.made.it"}, Groups: []string{"indexer"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if lag := r.Read(t.Context())[0]; lag.Err == nil {
		t.Errorf("%+v", lag)
	}
}

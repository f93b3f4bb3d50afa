package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/internal/testkit"
	"sluice/pipeline"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
)

// consumers is a topic and a group that reads it.
type consumers struct {
	t      *testing.T
	broker string
	topic  string
	client *kgo.Client // publishes
	admin  *kadm.Client
}

const indexers = "indexers"

func newConsumers(t *testing.T, broker, topic string) *consumers {
	t.Helper()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(50*time.Millisecond),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &consumers{t, broker, topic, client, kadm.NewClient(client)}
}

func (c *consumers) member(change ...func(*kafka.ConsumerOptions)) *kafka.Consumer {
	c.t.Helper()
	o := kafka.ConsumerOptions{
		Options: kafka.Options{Brokers: []string{c.broker}, Topic: c.topic, RefreshInterval: 200 * time.Millisecond},
		Group:   indexers + "." + c.topic, SessionTimeout: 6 * time.Second,
	}
	for _, f := range change {
		f(&o)
	}
	m, err := kafka.NewConsumer(o)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = m.Close() })
	return m
}

// publish appends n records to a partition.
func (c *consumers) publish(partition int32, n int) {
	c.t.Helper()
	var records []*kgo.Record
	for range n {
		records = append(records, &kgo.Record{Partition: partition, Key: []byte("key"), Value: []byte("value")})
	}
	if err := c.client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}

// poll polls until a member has n records.
func (c *consumers) poll(m *kafka.Consumer, n int) (all []pipeline.Record) {
	c.t.Helper()
	testkit.Eventually(c.t, fmt.Sprint(n, " records"), func() bool {
		records, err := m.Poll(context.Background(), 100)
		if err != nil {
			c.t.Log(err)
		}
		all = append(all, records...)
		return len(all) >= n
	})
	if len(all) != n {
		c.t.Fatalf("%d records, want %d", len(all), n)
	}
	return all
}

func (c *consumers) commit(m *kafka.Consumer, done ...pipeline.Record) {
	c.t.Helper()
	if err := m.Commit(context.Background(), done); err != nil {
		c.t.Fatal(err)
	}
}

// committed returns the group's offset in a partition, 0 without one.
func (c *consumers) committed(partition int32) int64 {
	c.t.Helper()
	offsets, err := c.admin.FetchOffsets(context.Background(), indexers+"."+c.topic)
	if err != nil {
		c.t.Fatal(err)
	}
	at, _ := offsets.Lookup(c.topic, partition)
	return at.At
}

func (c *consumers) checkCommitted(partition int32, want int64) {
	c.t.Helper()
	if got := c.committed(partition); got != want {
		c.t.Errorf("committed %d, want %d", got, want)
	}
}

func TestConsumer(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Options{Partitions: 4})
	for name, test := range consumerTests {
		t.Run(name, func(t *testing.T) {
			name := topic + "." + strings.ReplaceAll(name, " ", "-")
			if _, err := admin(t, b.Addr()).CreateTopic(t.Context(), 4, 1, nil, name); err != nil {
				t.Fatal(err)
			}
			test(newConsumers(t, b.Addr(), name))
		})
	}
}

// consumerTests run with the embedded broker and with Apache Kafka.
var consumerTests = map[string]func(*consumers){
	"goes on":             goesOn,
	"commits in order":    commitsInOrder,
	"thrown out":          thrownOut,
	"partition lost":      partitionLost,
	"retention":           retentionOvertakes,
	"made again":          madeAgain,
	"members come and go": membersComeAndGo,
}

// goesOn ends a member between polling and committing.
func goesOn(c *consumers) {
	c.publish(0, 10)
	m := c.member()
	c.commit(m, c.poll(m, 10)[:3]...)
	if err := m.Close(); err != nil {
		c.t.Error(err)
	}
	c.checkCommitted(0, 3)
	c.publish(0, 5)
	m = c.member()
	records := c.poll(m, 12)
	if records[0].Offset != 3 || string(records[0].Key) != "key" || records[0].Topic != c.topic {
		c.t.Errorf("%+v", records[0])
	}
	newest, err := m.Newest(c.t.Context())
	if err != nil || len(newest) != 1 || newest[0].Offset != 14 {
		c.t.Errorf("the newest records are %+v: %v", newest, err)
	}
}

func commitsInOrder(c *consumers) {
	c.publish(1, 10)
	m := c.member()
	records := c.poll(m, 10)
	c.commit(m, records[7], records[2])
	c.checkCommitted(1, 8)
	c.commit(m, records[4])
	c.checkCommitted(1, 8)
}

// partitionLost commits what a member has of a partition that went to another.
func partitionLost(c *consumers) {
	for p := range int32(4) {
		c.publish(p, 10)
	}
	first := c.member()
	old := c.poll(first, 40)
	ctx, cancel := context.WithCancel(c.t.Context())
	var group sync.WaitGroup
	group.Go(func() { // it must be polled to take part
		for ctx.Err() == nil {
			_, _ = first.Poll(ctx, 100)
		}
	})
	defer group.Wait()
	defer cancel()
	second := c.member()
	records := c.poll(second, 20) // two of the four partitions
	c.commit(second, records...)
	taken := map[int32]bool{}
	for _, r := range records {
		taken[r.Partition] = true
	}
	for _, r := range old {
		if taken[r.Partition] && r.Offset == 4 {
			c.commit(first, r)
		}
	}
	for p := range taken {
		c.checkCommitted(p, 10)
	}
}

// retentionOvertakes deletes records that the group has not read.
func retentionOvertakes(c *consumers) {
	c.publish(0, 10)
	m := c.member()
	c.commit(m, c.poll(m, 10)[:2]...)
	_ = m.Close()
	before := kadm.Offsets{}
	before.AddOffset(c.topic, 0, 7, -1)
	if _, err := c.admin.DeleteRecords(c.t.Context(), before); err != nil {
		c.t.Fatal(err)
	}
	lost := make(chan int64, 10)
	m = c.member(func(o *kafka.ConsumerOptions) { o.Lost = func(n int64) { lost <- n } })
	records := c.poll(m, 3)
	if records[0].Offset != 7 || len(lost) != 1 || <-lost != 5 {
		c.t.Errorf("began at %d", records[0].Offset)
	}
	c.commit(m, records...)
	c.checkCommitted(0, 10)
}

// madeAgain deletes the topic and makes it again, under another id.
func madeAgain(c *consumers) {
	c.publish(0, 10)
	m := c.member()
	c.commit(m, c.poll(m, 10)...)
	if _, err := c.admin.DeleteTopics(c.t.Context(), c.topic); err != nil {
		c.t.Fatal(err)
	}
	testkit.Eventually(c.t, "the topic is missed", func() bool {
		_, err := m.Poll(c.t.Context(), 1)
		return err != nil
	})
	if _, err := c.admin.CreateTopic(c.t.Context(), 2, 1, nil, c.topic); err != nil {
		c.t.Fatal(err)
	}
	fresh := newConsumers(c.t, c.broker, c.topic) // a client never takes the new id
	testkit.Eventually(c.t, "the topic is there", func() bool {
		_, err := fresh.admin.ListEndOffsets(c.t.Context(), c.topic)
		return err == nil
	})
	fresh.publish(0, 3)
	records := fresh.poll(m, 3)
	fresh.commit(m, records...)
	fresh.checkCommitted(0, 3)
}

// membersComeAndGo has members that leave, or are cut off, at any time. Each record is
// polled by somebody, and no commit goes backward.
func membersComeAndGo(c *consumers) {
	const total = 400
	ctx, cancel := context.WithCancel(c.t.Context())
	seen := map[string]bool{}
	var mu sync.Mutex
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	consume := func(life time.Duration) {
		m := c.member()
		defer m.Close()
		ctx, cancel := context.WithTimeout(ctx, life)
		defer cancel()
		for ctx.Err() == nil {
			records, _ := m.Poll(ctx, 5)
			mu.Lock()
			for _, r := range records {
				seen[fmt.Sprint(r.Partition, " ", r.Offset)] = true
			}
			mu.Unlock()
			if err := m.Commit(ctx, records); err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
				c.t.Log(err)
			}
		}
	}
	for range 3 {
		group.Go(func() {
			for ctx.Err() == nil {
				consume(300*time.Millisecond + rand.N(1500*time.Millisecond))
			}
		})
	}
	for n := range total / 20 {
		c.publish(int32(n%4), 20)
		time.Sleep(50 * time.Millisecond)
	}
	last := make([]int64, 4)
	testkit.Eventually(c.t, "all is committed", func() bool {
		ends := 0
		for p := range last {
			at := c.committed(int32(p))
			if at < last[p] {
				c.t.Errorf("the commit of partition %d went back from %d to %d", p, last[p], at)
			}
			if last[p] = at; at == total/4 {
				ends++
			}
		}
		return ends == len(last)
	})
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != total {
		c.t.Errorf("%d records were polled", len(seen))
	}
}

// thrownOut has a member whose connections stand still until the group has given its
// partitions to another. It takes part again, and commits nothing of before.
func thrownOut(c *consumers) {
	c.publish(0, 10)
	v := newValve()
	first := c.member(func(o *kafka.ConsumerOptions) { o.Dial = v.dial })
	old := c.poll(first, 10)
	open := v.close()
	second := c.member()
	c.commit(second, c.poll(second, 10)...)
	c.checkCommitted(0, 10)
	open()
	c.commit(first, old[4])
	c.checkCommitted(0, 10)
	_ = second.Close()
	c.publish(0, 3)
	records := c.poll(first, 3)
	c.commit(first, records...)
	c.checkCommitted(0, 13)
}

// TestConsumerOutlivesBroker restarts the broker.
func TestConsumerOutlivesBroker(t *testing.T) {
	t.Parallel()
	o := embedded.Options{Address: "127.0.0.1:" + testkit.FreePort(t), DataDir: t.TempDir(), Partitions: 2, Topic: topic}
	b := startBroker(t, o)
	goesOn := outlives(newConsumers(t, b.Addr(), topic))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	startBroker(t, o)
	goesOn()
}

// outlives polls, and commits a part. The function that it returns, after the broker was
// gone, commits the rest.
func outlives(c *consumers) (goesOn func()) {
	c.publish(0, 10)
	m := c.member()
	records := c.poll(m, 10)
	c.commit(m, records[:5]...)
	return func() {
		c.t.Helper()
		c = newConsumers(c.t, c.broker, c.topic) // the connections of the other are gone
		c.publish(0, 5)
		testkit.Eventually(c.t, "the rest is polled", func() bool {
			more, _ := m.Poll(c.t.Context(), 100)
			records = append(records, more...)
			return slices.ContainsFunc(records, func(r pipeline.Record) bool { return r.Offset == 14 })
		})
		testkit.Eventually(c.t, "the rest is committed", func() bool {
			return m.Commit(c.t.Context(), records) == nil // the first may find a connection that is gone
		})
		c.checkCommitted(0, 15)
	}
}

// TestConsumerMissesBroker has no broker any more: Poll says so.
func TestConsumerMissesBroker(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Options{})
	c := newConsumers(t, b.Addr(), topic)
	c.publish(0, 1)
	m := c.member()
	c.poll(m, 1)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the broker is missed", func() bool {
		_, err := m.Poll(t.Context(), 1)
		return err != nil
	})
}

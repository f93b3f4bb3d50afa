package kafka_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"

	"sluice/internal/testkit"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
)

// freezer is a network to several brokers, each of which can be frozen: what connects to
// it gets no answer.
type freezer struct {
	mu     sync.Mutex
	valves map[string]*valve
}

func (f *freezer) valve(host string) *valve {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.valves == nil {
		f.valves = map[string]*valve{}
	}
	if f.valves[host] == nil {
		f.valves[host] = newValve()
	}
	return f.valves[host]
}

func (f *freezer) dial(ctx context.Context, network, host string) (net.Conn, error) {
	return f.valve(host).dial(ctx, network, host)
}

// writtenPartition returns the one partition that has events.
func writtenPartition(t *testing.T, cluster *kfake.Cluster) int32 {
	t.Helper()
	ends, err := admin(t, cluster.ListenAddrs()[0]).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	written := int32(-1)
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			written = o.Partition
		}
	})
	return written
}

// TestSilentBroker freezes the broker that leads the partition in use, one of three, and
// later gives its partitions to others. No event may fail, and while it is frozen events
// go on by the other partitions. Those that wait have a result soon after the move.
func TestSilentBroker(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(3, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	for i := range int32(3) { // a partition each
		if err := cluster.MoveTopicPartition(topic, i, i); err != nil {
			t.Fatal(err)
		}
	}
	network := &freezer{}
	changes := make(chan kafka.BrokerState, 100)
	l := openLog(t, kafka.Options{
		Brokers: cluster.ListenAddrs(), Dial: network.dial, RefreshInterval: 100 * time.Millisecond,
		BrokerChanged: func(s kafka.BrokerState) { changes <- s },
	})
	mustAnnounce(t, l) // so that the fault hits established connections
	frozen := cluster.LeaderFor(topic, writtenPartition(t, cluster))
	address := cluster.ListenAddrs()[frozen]
	thaw := network.valve(address).close()

	stuck := []*flight{launch(l, 30)}
	testkit.Eventually(t, "an event goes another way", func() bool {
		f := launch(l, 1)
		select {
		case <-f.results[0].came:
			return true
		case <-time.After(50 * time.Millisecond):
			stuck = append(stuck, f)
			return false
		}
	})
	for range 100 {
		mustAnnounce(t, l)
	}
	if got := <-changes; got.ID != frozen || got.Address != address || got.Answers {
		t.Errorf("reported %+v", got)
	}
	testkit.Eventually(t, "it was tried in vain", func() bool {
		return slices.ContainsFunc(l.Brokers(), func(s kafka.BrokerState) bool { return s.Silent > 4*time.Second })
	})
	if l.Depth() < 30 {
		t.Errorf("%d events wait: the fault was not where they are", l.Depth())
	}

	for partition := range int32(3) {
		if cluster.LeaderFor(topic, partition) == frozen {
			if err := cluster.MoveTopicPartition(topic, partition, (frozen+1)%3); err != nil {
				t.Fatal(err)
			}
		}
	}
	const limit = 10 * time.Second // of which a machine at rest needs 1 s or 2 s
	moved := time.Now()
	for _, f := range stuck {
		if got := len(f.land(t, time.Minute)); got != len(f.ids) {
			t.Errorf("%d of %d events acknowledged", got, len(f.ids))
		}
	}
	took := time.Since(moved)
	t.Logf("all were acknowledged %v after the move", took)
	if took > limit {
		t.Errorf("want at most %v", limit)
	}

	thaw()
	if got := <-changes; got.ID != frozen || !got.Answers {
		t.Errorf("reported %+v", got)
	}
}

// TestUnreachableLeader makes one of three brokers unreachable for the log alone, for as
// long as the cluster names it as a leader: as with a wrong advertised address. What was
// in flight to it fails. After that no event may fail, whatever becomes of the client, until
// it can be reached and gets events again.
func TestUnreachableLeader(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(3, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	for i := range int32(3) { // a partition each
		if err := cluster.MoveTopicPartition(topic, i, i); err != nil {
			t.Fatal(err)
		}
	}
	const lost = int32(1)
	broker := admin(t, cluster.ListenAddrs()[0])
	var unreachable atomic.Bool
	unreachable.Store(true)
	o := kafka.Options{
		Brokers: []string{cluster.ListenAddrs()[0]}, RefreshInterval: 100 * time.Millisecond, Timeout: 5 * time.Second,
		Dial: func(ctx context.Context, network, host string) (net.Conn, error) {
			if unreachable.Load() && host == cluster.ListenAddrs()[lost] {
				return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
			}
			var d net.Dialer
			return d.DialContext(ctx, network, host)
		},
	}
	l := logWithLostEvent(t, o)
	testkit.Eventually(t, "the broker is known to be silent", func() bool {
		return slices.ContainsFunc(l.Brokers(), func(s kafka.BrokerState) bool { return s.ID == lost && !s.Answers })
	})
	for range 1000 { // of which each partition would have some
		mustAnnounce(t, l)
	}
	if at := endOffset(t, broker, lost); at != 0 {
		t.Fatalf("%d events were taken by the broker", at)
	}
	unreachable.Store(false)
	testkit.Eventually(t, "the broker gets events again", func() bool {
		mustAnnounce(t, l)
		return endOffset(t, broker, lost) > 0
	})
}

// logWithLostEvent opens a log whose first event goes to a broker that cannot be reached,
// and fails. Chance chooses the broker, so it may take several logs.
func logWithLostEvent(t *testing.T, o kafka.Options) *kafka.Log {
	t.Helper()
	for range 100 {
		l := openLog(t, o)
		if len(launch(l, 1).land(t, time.Minute)) == 0 { // land checks the kind of the failure
			return l
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("no event failed")
	return nil
}

// endOffset returns the number of events in a partition.
func endOffset(t *testing.T, broker *kadm.Client, partition int32) int64 {
	t.Helper()
	ends, err := broker.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	at, _ := ends.Lookup(topic, partition)
	return at.Offset
}

// TestSilentConnections swallows what goes over all present connections, as a firewall
// does that has forgotten them. New ones work. No event may fail, and none may wait for
// the client's own bound, which is 11 s for each of its requests in turn.
func TestSilentConnections(t *testing.T) {
	t.Parallel()
	b := startBroker(t, embedded.Options{Partitions: 3})
	var mu sync.Mutex
	var present []*valve
	l := openLog(t, kafka.Options{
		Brokers: []string{b.Addr()},
		Dial: func(ctx context.Context, network, host string) (net.Conn, error) {
			v := newValve()
			mu.Lock()
			present = append(present, v)
			mu.Unlock()
			return v.dial(ctx, network, host)
		},
	})
	mustAnnounce(t, l)
	mu.Lock()
	for _, v := range present {
		defer v.close()() // its goroutines end with the test
	}
	mu.Unlock()
	const events, limit = 30, 10 * time.Second
	f := launch(l, events)
	if got := len(f.land(t, time.Minute)); got != events {
		t.Errorf("%d of %d events acknowledged", got, events)
	}
	for i, r := range f.results {
		if r.took > limit {
			t.Fatalf("event %d took %v", i, r.took)
		}
	}
}

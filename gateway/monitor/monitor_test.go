package monitor

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/gateway/pressure"
	"sluice/internal/testkit"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
)

const (
	testTopic = "mail.received"
	testGroup = "indexer"
	testTick  = 200 * time.Millisecond
)

// history records the calls of a monitor's observer, in order.
type history struct {
	mu      sync.Mutex
	moments []moment
}

type moment struct {
	fraction float64 // of the only class; -1 for a reading
	cause    string
	records  int64
	result   string // of a reading
}

func (h *history) add(m moment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moments = append(h.moments, m)
}

func (h *history) Pressure(_ string, fraction float64, cause string) {
	h.add(moment{fraction: fraction, cause: cause})
}

func (h *history) LagRead(_ string, records int64, _ float64) {
	h.add(moment{fraction: -1, records: records, result: "ok"})
}

func (h *history) LagNotRead(_, result string) { h.add(moment{fraction: -1, result: result}) }

func (h *history) since(n int) []moment {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]moment(nil), h.moments[n:]...)
}

func (h *history) length() int { return len(h.since(0)) }

// last returns the last decision.
func (h *history) last() moment {
	all := h.since(0)
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].fraction >= 0 {
			return all[i]
		}
	}
	return moment{}
}

// counted returns the number of moments for which is returns true.
func (h *history) counted(is func(moment) bool) (n int) {
	for _, m := range h.since(0) {
		if is(m) {
			n++
		}
	}
	return n
}

func startTopic(t *testing.T) *embedded.Broker {
	t.Helper()
	b, err := embedded.Start(embedded.Options{Address: "127.0.0.1:0", DataDir: t.TempDir(), Topic: testTopic, Partitions: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// monitorOn returns a started monitor of the group's lag at a broker.
func monitorOn(t *testing.T, broker string, policy pressure.StalePolicy) (*Monitor, *history) {
	t.Helper()
	lag, err := kafka.NewLagReader(kafka.LagOptions{
		Options: kafka.Options{Brokers: []string{broker}, Topic: testTopic},
		Groups:  []string{testGroup}, ReadTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	h := &history{}
	w := New(Options{
		Settings: pressure.Settings{Interval: testTick, Lag: pressure.LagSettings{
			Groups: []string{testGroup}, Records: pressure.Band{Low: 20, High: 100},
			StaleAfter: 3 * testTick, OnStale: policy,
		}},
		Lag: lag, Local: func(time.Time) pressure.Inputs { return pressure.Inputs{} },
		Observer: h, Logger: slog.New(slog.DiscardHandler),
	})
	w.Start()
	t.Cleanup(w.Close)
	return w, h
}

// produce writes records to the topic.
func produce(t *testing.T, broker string, records int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(testTopic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	batch := make([]*kgo.Record, records)
	for i := range batch {
		batch[i] = &kgo.Record{Value: []byte("{}")}
	}
	if err := client.ProduceSync(t.Context(), batch...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// consumer is a member of the group that consumes and commits on request.
type consumer struct {
	t      *testing.T
	client *kgo.Client
}

func join(t *testing.T, broker string) *consumer {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumerGroup(testGroup), kgo.ConsumeTopics(testTopic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &consumer{t, client}
}

func (c *consumer) consume(records int) {
	c.t.Helper()
	for records > 0 {
		fetched := c.client.PollRecords(c.t.Context(), records)
		if err := fetched.Err(); err != nil {
			c.t.Fatal(err)
		}
		if err := c.client.CommitRecords(c.t.Context(), fetched.Records()...); err != nil {
			c.t.Fatal(err)
		}
		records -= fetched.NumRecords()
	}
}

// TestGateFollowsTheLag checks that a consumer that stops shuts the gate within two
// readings. While it catches up, the gate stays shut until the lag is below low, and then
// opens by steps without closing again.
func TestGateFollowsTheLag(t *testing.T) {
	b := startTopic(t)
	c := join(t, b.Addr())
	produce(t, b.Addr(), 10)
	c.consume(10)
	w, h := monitorOn(t, b.Addr(), pressure.Hold)
	ok := func(m moment) bool { return m.result == "ok" }
	for range 5 { // a consumer that keeps up
		produce(t, b.Addr(), 10)
		c.consume(10)
		n := h.counted(ok)
		testkit.Eventually(t, "the lag is read", func() bool { return h.counted(ok) > n })
	}
	if n := h.counted(func(m moment) bool { return m.fraction > 0 }); n != 0 {
		t.Fatalf("shed while the consumer kept up: %+v", h.since(0))
	}

	produce(t, b.Addr(), 150)
	before := h.counted(ok)
	testkit.Eventually(t, "the gate is shut", func() bool { return h.last().fraction == 1 })
	// One reading may have been in flight.
	if n := h.counted(ok) - before; n > 2 {
		t.Errorf("the gate was shut after %d readings", n)
	}
	if cause, shed := w.Gate().Shed(0, 65535); !shed || cause != pressure.CauseLagRecords {
		t.Errorf("a session would be greeted: %q", cause)
	}

	from := h.length()
	for _, step := range []int{30, 30, 30, 30} { // leaving 120, 90, 60, 30
		c.consume(step)
		n := h.counted(ok)
		testkit.Eventually(t, "the lag is read twice", func() bool { return h.counted(ok) > n+1 })
	}
	for _, m := range h.since(from) {
		if m.fraction >= 0 && m.fraction != 1 {
			t.Fatalf("the gate moved before the lag was below low: %+v", h.since(from))
		}
	}
	from = h.length()
	c.consume(30)
	testkit.Eventually(t, "the gate is open", func() bool { return h.last().fraction == 0 })
	last := 1.0
	for _, m := range h.since(from) {
		switch {
		case m.fraction < 0:
		case m.fraction > last, m.fraction < last-0.1001:
			t.Fatalf("from %v to %v: %+v", last, m.fraction, h.since(from))
		default:
			last = m.fraction
		}
	}
}

// TestBrokerIsGone checks that the gate follows on_stale once the last reading is stale,
// and not before.
func TestBrokerIsGone(t *testing.T) {
	for _, c := range []struct {
		name       string
		policy     pressure.StalePolicy
		lag        int
		was, wants float64
	}{
		{"hold an open gate", pressure.Hold, 0, 0, 0},
		{"hold a gate half shut", pressure.Hold, 60, 0.5, 0.5},
		{"open", pressure.Open, 60, 0.5, 0},
		{"shed", pressure.Shed, 0, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := startTopic(t)
			member := join(t, b.Addr())
			produce(t, b.Addr(), 1)
			member.consume(1)
			produce(t, b.Addr(), c.lag)
			w, h := monitorOn(t, b.Addr(), c.policy)
			testkit.Eventually(t, "the lag is read", func() bool {
				return h.counted(func(m moment) bool { return m.result == "ok" }) > 0 && h.last().fraction == c.was
			})
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, "the reading is stale", func() bool { return w.stale(0) == pressure.CauseLagStale })
			from := h.length()
			testkit.Eventually(t, "the policy decides", func() bool { return h.last().fraction == c.wants })
			testkit.Eventually(t, "and time goes by", func() bool { return h.length() > from+10 })
			if got := h.last(); got.fraction != c.wants || c.wants > 0 && got.cause != pressure.CauseLagStale {
				t.Errorf("%+v, want %v", got, c.wants)
			}
		})
	}
}

// TestGroupThatDoesNotExist checks that an unknown group has no lag, and that the gate
// follows on_stale until the group exists.
func TestGroupThatDoesNotExist(t *testing.T) {
	for name, c := range map[string]struct {
		policy pressure.StalePolicy
		want   float64
	}{"hold": {pressure.Hold, 1}, "open": {pressure.Open, 0}, "shed": {pressure.Shed, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startTopic(t)
			w, h := monitorOn(t, b.Addr(), c.policy)
			unknown := func(m moment) bool { return m.result == "unknown_group" }
			testkit.Eventually(t, "it is known to be unknown", func() bool { return h.counted(unknown) > 2 })
			if n := h.counted(func(m moment) bool { return m.result == "ok" }); n != 0 {
				t.Errorf("%d readings of a group that is not there: %+v", n, h.since(0))
			}
			if got := h.last(); got.fraction != c.want || w.stale(0) != pressure.CauseLagUnknown {
				t.Errorf("%+v, stale %q, want %v", got, w.stale(0), c.want)
			}
			produce(t, b.Addr(), 1)
			join(t, b.Addr()).consume(1)
			testkit.Eventually(t, "the gate is open", func() bool { return h.last().fraction == 0 && w.stale(0) == "" })
		})
	}
}

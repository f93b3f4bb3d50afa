package kafka_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"sluice/internal/testkit"
	"sluice/pipeline"
	"sluice/pipeline/kafka"
	"sluice/pipeline/porttest"
)

// flight holds events in flight, each with a count of its results.
type flight struct {
	ids     []string
	results []*result
	began   time.Time
}

type result struct {
	m     *pipeline.Message
	count atomic.Int32
	err   error
	took  time.Duration
	began time.Time
	came  chan struct{}
}

// Post takes the result of the message.
func (r *result) Post(*pipeline.Task) {
	if r.count.Add(1) == 1 {
		r.err, r.took = r.m.Result.Err, time.Since(r.began)
		close(r.came)
	}
}

func launch(l *kafka.Log, n int) *flight {
	f := &flight{began: time.Now()}
	for range n {
		r := &result{m: porttest.Stored(), came: make(chan struct{}), began: time.Now()}
		r.m.Loop = r
		f.ids, f.results = append(f.ids, r.m.ID.String()), append(f.results, r)
		l.Publish(r.m)
	}
	return f
}

// land waits for every result, for limit at most, and returns the ids of the acknowledged
// events.
func (f *flight) land(t *testing.T, limit time.Duration) (acknowledged []string) {
	t.Helper()
	var slowest time.Duration
	for i, r := range f.results {
		select {
		case <-r.came:
		case <-time.After(time.Until(f.began.Add(limit))):
			t.Fatalf("event %d has no result after %s", i, limit)
		}
		slowest = max(slowest, r.took)
		if r.err == nil {
			acknowledged = append(acknowledged, f.ids[i])
		} else if kind := pipeline.KindOf(r.err); kind != pipeline.KindTemporary && kind != pipeline.KindTimeout {
			t.Errorf("event %d: kind %s: %v", i, kind, r.err)
		}
	}
	t.Logf("%d of %d acknowledged, the slowest result after %s", len(acknowledged), len(f.ids), slowest.Round(time.Millisecond))
	return acknowledged
}

// once checks the counts of results. The log must be closed.
func (f *flight) once(t *testing.T) {
	t.Helper()
	for i, r := range f.results {
		if n := r.count.Load(); n != 1 {
			t.Errorf("event %d has %d results", i, n)
		}
	}
}

// checkLogged reads the topic directly: each acknowledged event must be in it once. One
// that failed may be in it too.
func (c *cluster) checkLogged(t *testing.T, topic string, acknowledged []string) {
	t.Helper()
	seen := map[string]int{}
	err := kafka.NewReader(kafka.Options{Brokers: []string{c.Bootstrap}, Topic: topic}).Read(t.Context(),
		func(key, _ []byte, _ []pipeline.EventHeader) error {
			seen[string(key)]++
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range acknowledged {
		if seen[id] != 1 {
			t.Errorf("acknowledged event %s is %d times in the topic", id, seen[id])
		}
	}
}

const (
	faultTimeout = 3 * time.Second
	// faultLimit bounds the wait for a result. The client's own limits add up to twice
	// the timeout, and the machine may be busy.
	faultLimit = 5 * faultTimeout
)

// faulty is a log with a network that can be broken.
type faulty struct {
	*kafka.Log
	topic string
	proxy *toxiproxy.Proxy
}

// openBehindProxy opens a log whose every connection goes through a toxiproxy.
func (c *cluster) openBehindProxy(t *testing.T) *faulty {
	t.Helper()
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()),
		"kafka", "127.0.0.1:0", c.Bootstrap)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	f := &faulty{topic: c.newTopic(t), proxy: proxy}
	f.Log = c.open(t, kafka.Options{
		Topic: f.topic, Timeout: faultTimeout,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, proxy.Listen)
		},
	})
	mustAnnounce(t, f.Log) // so that the fault hits established connections
	return f
}

// faults publishes over networks that are slow, narrow, broken or silent, in either
// direction.
func (c *cluster) faults(t *testing.T) {
	const events = 200
	for _, fault := range []struct {
		name, toxic string
		all         bool // no event may fail
		none        bool // none can be acknowledged
	}{
		{"latency", `{"type": "latency", "attributes": {"latency": 400, "jitter": 100}}`, true, false},
		{"bandwidth", `{"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 20}}`, false, false},
		{"reset", `{"type": "reset_peer", "attributes": {"timeout": 0}}`, false, true},
		{"reset in the middle of a batch", `{"type": "limit_data", "stream": "upstream", "attributes": {"bytes": 4000}}`, false, false},
		{"requests swallowed", `{"type": "timeout", "stream": "upstream", "attributes": {"timeout": 0}}`, false, true},
		{"answers swallowed", `{"type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`, false, true},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			l := c.openBehindProxy(t)
			toxic, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(fault.toxic))
			if err != nil {
				t.Fatal(err)
			}
			f := launch(l.Log, events)
			acknowledged := f.land(t, faultLimit)
			if fault.all && len(acknowledged) != events {
				t.Errorf("%d events failed", events-len(acknowledged))
			}
			if fault.none && len(acknowledged) != 0 {
				t.Errorf("%d events were acknowledged without a broker", len(acknowledged))
			}
			if err := l.proxy.Toxics.RemoveToxic(context.Background(), toxic.Name); err != nil {
				t.Fatal(err)
			}
			within := 3 * faultTimeout
			if fault.none && strings.Contains(fault.name, "swallowed") {
				within = faultTimeout
			}
			acknowledged = append(acknowledged, resumed(t, l.Log, within)...)
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			f.once(t)
			c.checkLogged(t, l.topic, acknowledged)
		})
	}
}

// resumed waits until an event is acknowledged again. It must not wait behind the overdue
// events before it, as it would without a fresh client.
func resumed(t *testing.T, l *kafka.Log, within time.Duration) (acknowledged []string) {
	t.Helper()
	began := time.Now()
	testkit.Eventually(t, "an event is taken", func() bool {
		acknowledged = launch(l, 1).land(t, faultLimit)
		return len(acknowledged) == 1
	})
	if took := time.Since(began); took > within {
		t.Errorf("publishing resumed after %s", took)
	}
	return acknowledged
}

// without publishes while the broker is gone and then brings it back.
func (c *cluster) without(t *testing.T, end, begin func() error, within time.Duration) {
	t.Helper()
	o := kafka.Options{Topic: c.newTopic(t), Timeout: faultTimeout}
	l := c.open(t, o)
	mustAnnounce(t, l)
	// The broker goes while events are in flight.
	f := launch(l, 2000)
	if err := end(); err != nil {
		t.Fatal(err)
	}
	g := launch(l, 100)
	acknowledged := f.land(t, faultLimit)
	if late := g.land(t, faultLimit); len(late) != 0 {
		t.Errorf("%d events were acknowledged without a broker", len(late))
	}
	if err := begin(); err != nil {
		t.Fatal(err)
	}
	acknowledged = append(acknowledged, resumed(t, l, within)...)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	f.once(t)
	g.once(t)
	c.checkLogged(t, o.Topic, acknowledged)
}

func (c *cluster) paused(t *testing.T) {
	consumerGoesOn := outlives(newConsumers(t, c.Bootstrap, c.fourPartitions(t)))
	c.without(t, c.Pause, c.Resume, 2*faultTimeout)
	consumerGoesOn()
}

func (c *cluster) killed(t *testing.T) {
	consumerGoesOn := outlives(newConsumers(t, c.Bootstrap, c.fourPartitions(t)))
	c.without(t, c.Kill, c.Restart, 3*faultTimeout)
	consumerGoesOn()
}

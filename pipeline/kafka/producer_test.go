package kafka

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/internal/testkit"
	"sluice/internal/testkit/kafkatest"
)

// startProducer starts a producer to a cluster. Its replaced clients are closed as those of
// a Log are.
func startProducer(t *testing.T, c *kafkatest.Cluster, timeout time.Duration) *producer {
	t.Helper()
	o := Options{Brokers: c.ListenAddrs(), Topic: "mail", Timeout: timeout}
	o.defaults()
	options, _, err := o.clientOptions(o.Timeout / 3)
	if err != nil {
		t.Fatal(err)
	}
	compression, err := o.compressionOption()
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProducer(append(options, o.producerOptions(partitioner{func(int, int) bool { return true }})...), compression, defaultBatch)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p.drain = func() (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, 2*o.Timeout) }
	var closing sync.WaitGroup
	closing.Go(func() { p.closeReplaced(ctx) })
	t.Cleanup(func() {
		cancel()
		p.close()
		closing.Wait()
	})
	return p
}

// publish publishes an event and waits for its result.
func (p *producer) publish(t *testing.T) error {
	t.Helper()
	result := make(chan error, 1)
	p.produce(t.Context(), &kgo.Record{Value: []byte("event")}, func(_ *kgo.Client, err error) { result <- err })
	return <-result
}

// TestOverdueEventBringsFreshClient checks that the events after an overdue one go by
// another client, and only those.
func TestOverdueEventBringsFreshClient(t *testing.T) {
	t.Parallel()
	c := kafkatest.Start(t, "mail")
	p := startProducer(t, c, time.Second)
	var causes []string
	p.report = func(cause string) { causes = append(causes, cause) } // under p.mu
	if err := p.publish(t); err != nil {
		t.Fatal(err)
	}
	before := p.client.Load()
	c.Script(func(int) kafkatest.Answer { return kafkatest.Answer{Silent: true} })
	if err := p.publish(t); !errors.Is(err, kgo.ErrRecordTimeout) {
		t.Errorf("a silent broker: %v", err)
	}
	fresh := p.client.Load()
	if fresh == before {
		t.Error("the client of an overdue event is kept")
	}
	c.Take()
	for range 3 {
		if err := p.publish(t); err != nil {
			t.Error(err)
		}
	}
	if p.client.Load() != fresh {
		t.Error("a client that publishes was replaced")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(causes, []string{causeOverdue}) {
		t.Errorf("replaced for %v", causes)
	}
}

// TestFreshClientsAreClosed replaces the client a hundred times under load. No event may
// fail or be written twice, and nothing may stay of the clients.
func TestFreshClientsAreClosed(t *testing.T) {
	c := kafkatest.Start(t, "mail")
	p := startProducer(t, c, 30*time.Second)
	if err := p.publish(t); err != nil {
		t.Fatal(err)
	}
	const clients, senders = 100, 4
	var taken atomic.Int64
	taken.Add(1)
	before := runtime.NumGoroutine()
	end := make(chan struct{})
	var load sync.WaitGroup
	for range senders {
		load.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				if err := p.publish(t); err != nil {
					t.Error(err)
					return
				}
				taken.Add(1)
			}
		})
	}
	for range clients {
		was := p.client.Load()
		testkit.Eventually(t, "the client is replaced", func() bool {
			p.renew() // does nothing while many wait to be closed
			return p.client.Load() != was
		})
		if err := p.publish(t); err != nil {
			t.Error(err)
		}
		taken.Add(1)
	}
	close(end)
	load.Wait()
	ends, err := kadm.NewClient(p.client.Load()).ListEndOffsets(t.Context(), "mail")
	if err != nil {
		t.Fatal(err)
	}
	if at, _ := ends.Lookup("mail", 0); at.Offset != taken.Load() {
		t.Errorf("%d events in the topic, %d were taken", at.Offset, taken.Load())
	}
	testkit.Eventually(t, "the goroutines of the clients have ended", func() bool {
		return runtime.NumGoroutine() <= before+10
	})
}

// TestProbeOutlivesClient replaces the client while a probe waits for its answer. That says
// nothing about the brokers.
func TestProbeOutlivesClient(t *testing.T) {
	t.Parallel()
	c := kafkatest.Start(t, "mail")
	l, err := Open(t.Context(), Options{Brokers: c.ListenAddrs(), Topic: "mail"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	var slept atomic.Bool
	c.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if slept.CompareAndSwap(false, true) {
			close(asked)
			c.SleepControl(func() { <-release })
		}
		return nil, nil, false
	})
	result := make(chan error, 1)
	go func() { result <- l.Probe(t.Context()) }()
	<-asked
	l.events.renew()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

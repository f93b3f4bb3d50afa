package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/loadtest/pressure"
)

// stalePolicies are those of the gateways of a staleFleet, in their order.
var stalePolicies = []string{"hold", "open", "shed"}

// newStaleFleet is a gateway for each policy, before anybody has consumed.
func newStaleFleet(t *testing.T) *pressedFleet {
	t.Helper()
	f := newBareFleet(t, &pressure.Scenario{
		Low: 50, High: 150, Interval: 100 * time.Millisecond, StaleAfter: 2 * time.Second,
	})
	for _, policy := range stalePolicies {
		f.scenario.OnStale = policy
		f.addGateway()
	}
	return f
}

// produce adds so many events by one request.
func (f *pressedFleet) produce(events int) {
	f.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(f.broker.Bootstrap), kgo.DefaultProduceTopic(f.scenario.Topic))
	if err != nil {
		f.Fatal(err)
	}
	defer client.Close()
	batch := make([]*kgo.Record, events)
	for i := range batch {
		batch[i] = &kgo.Record{Value: []byte("{}")}
	}
	if err := client.ProduceSync(f.ctx, batch...).FirstErr(); err != nil {
		f.Fatal(err)
	}
	f.lag += events
}

// decideIn waits until every gateway's fraction is this, which it must be by the
// second reading from now: the first may be in flight, with the lag of before.
func (f *pressedFleet) decideIn(fraction float64) {
	f.Helper()
	before := f.gates()
	last := slices.Clone(before)
	f.await("have decided", func(i int, g pressure.Gate) bool {
		// When a third reading was counted, the second was decided on. A page of
		// metrics is not of one moment, so the decision is looked for on the next.
		if counted := last[i].Readings - before[i].Readings; counted >= 3 && g.Fraction != fraction {
			f.Fatalf("gateway %d, %.0f readings later: %+v, want %v", i, counted, g, fraction)
		}
		last[i] = g
		return g.Fraction == fraction
	})
}

// TestFleetKnowsNoLag: what three gateways with one policy each do while the
// consumer's group does not exist, and while the broker is dead. In between and
// after they go by the lag, all alike.
func TestFleetKnowsNoLag(t *testing.T) {
	needs(t, "java")
	f := newStaleFleet(t)
	low, high := f.scenario.Low, f.scenario.High

	// There is no such group. That is no lag of 0, whoever asks.
	f.await("were told that there is no such group", func(_ int, g pressure.Gate) bool { return g.Unknown >= 3 })
	f.followPolicy([]float64{1, 0, 1}, "lag_unknown_group")
	for i, g := range f.gates() {
		if g.Readings != 0 || !math.IsNaN(g.Lag) {
			t.Errorf("gateway %d has read the lag of a group that is not there: %+v", i, g)
		}
	}
	f.join()
	f.await("are open", func(_ int, g pressure.Gate) bool { return g.Readings > 0 && g.Fraction == 0 && g.Lag == 0 })
	f.acceptsAll(1)
	f.consume(f.lag)

	// The consumer stands still.
	f.produce(high)
	f.decideIn(1)
	f.shedsAll(20)
	f.consume(f.lag)
	f.await("are open again", shedding(0))
	f.produce((low + high) / 2)
	f.decideIn(0.5)

	f.consumer.Close()
	f.loseBroker()
	f.join()
	f.consume(f.lag)
	f.await("are open at last", shedding(0))
	f.acceptsAll(1)
}

// loseBroker kills the broker, while all gateways shed a half, and starts it again.
func (f *pressedFleet) loseBroker() {
	f.Helper()
	if err := f.broker.Kill(); err != nil {
		f.Fatal(err)
	}
	dead := f.gates() // a reading may have been in flight when it died
	stale := f.scenario.StaleAfter.Seconds()
	f.await("know no lag for long", func(i int, g pressure.Gate) bool { return g.Failed > dead[i].Failed && g.Age > 3*stale })
	f.followPolicy([]float64{0.5, 0, 1}, "lag_stale")
	for i, g := range f.gates() {
		if g.Readings > dead[i].Readings+1 || g.Age < 3*stale {
			f.Errorf("gateway %d reads the lag from a dead broker: %+v, and %+v when it died", i, g, dead[i])
		}
	}
	if err := f.broker.Restart(); err != nil {
		f.Fatal(err)
	}
	f.await("go by the lag again", func(i int, g pressure.Gate) bool {
		return g.Readings > dead[i].Readings+1 && g.Age < stale && g.Lag == float64(f.lag) && g.Fraction == 0.5
	})
}

// followPolicy looks at the gateways, while their lag is not known for this cause,
// by their metrics and as a client: fractions are what each policy comes to.
func (f *pressedFleet) followPolicy(fractions []float64, cause string) {
	f.Helper()
	f.await("do as they were told", func(i int, g pressure.Gate) bool { return g.Fraction == fractions[i] })
	f.shedsBy(200, fractions)
	for i, g := range f.gates() {
		want := cause
		if fractions[i] == 0 {
			want = "open"
		}
		if g.Cause != want {
			f.Errorf("gateway %d, told to %s: %+v, want the cause %s", i, stalePolicies[i], g, want)
		}
	}
}

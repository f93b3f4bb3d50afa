package main

import (
	"testing"
	"time"
)

// TestFleetSheds runs three gateways on MinIO and Kafka and moves the consumer
// behind them. Each step begins when all gateways have seen the one before, and
// the lag is exact: a busy machine makes the test slower and changes nothing else.
func TestFleetSheds(t *testing.T) {
	needs(t, "java")
	f := newPressedFleet(t)
	low, high := f.scenario.Low, f.scenario.High
	f.await("are open", shedding(0))

	// It keeps up. So few mails cannot bring the lag to low.
	f.acceptsAll(low/len(f.scenario.Gateways) - 1)
	f.consume(f.lag)
	seen := f.watch()

	// It stands still.
	f.fill((low + high) / 2)
	f.await("shed half", shedding(0.5))
	f.shedsEvenly(400, 0.5)
	f.fill(high)
	f.await("are shut", shedding(1))
	f.shedsAll(20)

	// It catches up, half of it at first: between the thresholds a gate that was
	// shut stays so.
	f.consume(f.lag - (low+high)/2)
	f.awaitReadings()
	f.await("are shut still", shedding(1))
	f.shedsAll(20)
	began := time.Now()
	f.consume(f.lag)
	f.await("are open again", shedding(0))
	// Ten points an interval, and the first step may come at once.
	if took := time.Since(began); took < 9*f.scenario.Interval {
		t.Errorf("all senders were let in within %s", took)
	}
	f.acceptsAll(low/len(f.scenario.Gateways) - 1)
	for i, fractions := range seen() {
		risesOnce(t, i, fractions)
	}
}

// risesOnce wants a gate that does not fall before it was shut, and does not rise
// again then.
func risesOnce(t *testing.T, gateway int, fractions []float64) {
	t.Helper()
	shut, half := false, false
	for n := 1; n < len(fractions); n++ {
		before, now := fractions[n-1], fractions[n]
		shut, half = shut || before == 1, half || !shut && before == 0.5
		if shut && now > before || !shut && now < before {
			t.Errorf("gateway %d goes from %.2f to %.2f: %v", gateway, before, now, fractions)
			return
		}
	}
	if last := fractions[len(fractions)-1]; !shut || !half || last != 0 {
		t.Errorf("gateway %d did not go from open by a half to shut and back: %v", gateway, fractions)
	}
}

package pack

import (
	"testing"
	"time"
)

// TestShouldSend checks the smallest pack that is sent alongside others in flight.
func TestShouldSend(t *testing.T) {
	for _, c := range []struct {
		busy, inFlight int64
		least          int
	}{
		{0, 0, 1}, // an idle store: at once
		{1, 1, 1}, // low load: at once
		{1, 2, 3},
		{1, 17, 33},
		{2, 2, 1},
		{3, 51, 33}, // twice the mean of three
	} {
		if ShouldSend(c.least-1, c.busy, c.inFlight) && c.least > 1 || !ShouldSend(c.least, c.busy, c.inFlight) {
			t.Errorf("alongside %d with %d messages: %d are not the least", c.busy, c.inFlight, c.least)
		}
	}
}

// TestLatencyFloor checks that the floor follows fast requests at once, slow ones
// hardly, and never exceeds maxFloor.
func TestLatencyFloor(t *testing.T) {
	var f latencyFloor
	for _, step := range []struct{ took, want time.Duration }{
		{3 * time.Millisecond, 3 * time.Millisecond},
		{19 * time.Millisecond, 3*time.Millisecond + 62500*time.Nanosecond}, // an outlier
		{2 * time.Millisecond, 2 * time.Millisecond},                        // a fast request
		{time.Minute, maxFloor},                                             // a store that is always slow
	} {
		f.observe(step.took)
		if got := f.estimate(); got != step.want {
			t.Errorf("after %v: %v, want %v", step.took, got, step.want)
		}
	}
}

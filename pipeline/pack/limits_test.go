package pack_test

import (
	"testing"

	"sluice/pipeline/pack"
)

// TestWorth: how many messages are worth a request beside others.
func TestWorth(t *testing.T) {
	for _, c := range []struct {
		busy, underWay int64
		least          int
	}{
		{0, 0, 1}, // nobody waits where nothing is under way
		{1, 1, 1}, // low load: at once
		{1, 2, 3},
		{1, 17, 33},
		{2, 2, 1},
		{3, 51, 33}, // beside the mean of them
	} {
		if pack.Worth(c.least-1, c.busy, c.underWay) && c.least > 1 || !pack.Worth(c.least, c.busy, c.underWay) {
			t.Errorf("beside %d with %d messages: %d are not the least", c.busy, c.underWay, c.least)
		}
	}
}

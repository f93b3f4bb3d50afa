package pack

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	var p pace
	for _, step := range []struct{ took, usual time.Duration }{
		{3 * time.Millisecond, 3 * time.Millisecond},
		{19 * time.Millisecond, 3*time.Millisecond + 62500*time.Nanosecond}, // one that takes long hardly counts
		{2 * time.Millisecond, 2 * time.Millisecond},                        // one that is fast counts at once
		{time.Minute, longest},                                              // a store that is always slow
	} {
		p.note(step.took)
		if got := p.usual(); got != step.usual {
			t.Errorf("after %v: %v, want %v", step.took, got, step.usual)
		}
	}
}

package server

import (
	"testing"
	"time"
)

// TestMinutely has one line a minute, which says how much it stands for.
func TestMinutely(t *testing.T) {
	var m minutely
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {time.Second, 0}, {58 * time.Second, 0}, {time.Second, 3}, {time.Hour, 1}} {
		now = now.Add(step.after)
		if n := m.add(now); n != step.want {
			t.Errorf("%s later: %d events, want %d", step.after, n, step.want)
		}
	}
}

package s3

import (
	"math/rand/v2"
	"testing"
	"time"
)

// shore is a store at some distance, as courtesy sees it: steps of one small
// request each, beside as many large tasks as may be under way of those there are.
type shore struct {
	*courtesy
	now time.Time
	// takes gives the time of a small request beside so many large tasks.
	takes func(large int) time.Duration
	// slow counts small requests that were made beside two large ones or more.
	slow int
}

func newShore(takes func(int) time.Duration) *shore {
	return &shore{courtesy: newCourtesy(32, time.Minute), now: time.Unix(1e9, 0), takes: takes}
}

// run makes small requests one after another while large tasks want to be under
// way, for so long; it gives the limit at the end.
func (s *shore) run(span time.Duration, large int) int {
	next := s.now
	for end := s.now.Add(span); s.now.Before(end); {
		busy := min(large, s.limit(s.now)) // at first all
		if busy > 1 {
			s.slow++
		}
		s.smallBegun(s.now)
		took := s.takes(busy)
		s.now = s.now.Add(took)
		s.smallDone(s.now, smallRequest{took, 10 << 10, busy, busy})
		if large > 0 {
			s.largeBegun(s.now, 0)
		}
		for ; next.Before(s.now); next = next.Add(beat) {
			s.tick(s.now, large-busy)
		}
	}
	return s.limit(s.now)
}

// noise is a time as an object store has it: the median, and a long tail.
func noise(median time.Duration) func(int) time.Duration {
	r := rand.New(rand.NewPCG(1, 2))
	return func(int) time.Duration {
		return time.Duration(float64(median) * (0.7 + 0.43*r.ExpFloat64()))
	}
}

func TestCourtesyWithoutSmall(t *testing.T) {
	c := newCourtesy(32, time.Minute)
	now := time.Unix(1e9, 0)
	if n := c.limit(now); n != 32 || c.yields(now) {
		t.Errorf("%d before any small message", n)
	}
	c.smallBegun(now)
	if n := c.limit(now); n != 1 || !c.yields(now) {
		t.Errorf("%d beside the first", n)
	}
	if n := c.limit(now.Add(quiet)); n != 32 || c.yields(now.Add(quiet)) {
		t.Errorf("%d when there was none for long", n)
	}
}

// TestCourtesyFar: where the small ones feel nothing, all may be under way.
func TestCourtesyFar(t *testing.T) {
	s := newShore(noise(20 * time.Millisecond))
	if n := s.run(20*time.Second, 100); n != 32 {
		t.Fatalf("limit %d", n)
	}
	for range 30 {
		if n := s.run(time.Minute, 100); n != 32 {
			t.Fatalf("limit %d after %s", n, s.now.Sub(time.Unix(1e9, 0)))
		}
	}
}

// TestCourtesyNear: where they feel two, there is one, but for a trial a minute.
func TestCourtesyNear(t *testing.T) {
	s := newShore(func(large int) time.Duration { return time.Duration(1+large) * 3 * time.Millisecond })
	if n := s.run(time.Minute, 100); n != 1 || s.slow > 2*samples {
		t.Errorf("limit %d, %d requests beside more", n, s.slow)
	}
	s.slow = 0
	s.run(10*time.Minute, 100)
	if s.slow < 9*samples || s.slow > 11*2*samples {
		t.Errorf("%d requests beside more than one in ten minutes", s.slow)
	}
}

// TestCourtesyBetween: where they feel more than four, there are four.
func TestCourtesyBetween(t *testing.T) {
	s := newShore(func(large int) time.Duration {
		return 10*time.Millisecond + max(0, time.Duration(large-4))*5*time.Millisecond
	})
	if n := s.run(30*time.Second, 100); n != 4 {
		t.Errorf("limit %d", n)
	}
}

// TestCourtesyChanges: a store that comes to feel it is found out, and one that no
// longer does.
func TestCourtesyChanges(t *testing.T) {
	far, near := noise(20*time.Millisecond), func(large int) time.Duration { return time.Duration(1+large) * 20 * time.Millisecond }
	s := newShore(far)
	s.run(30*time.Second, 100)
	s.takes = near
	if n := s.run(5*time.Minute, 100); n > 2 { // 2 while it is tried
		t.Errorf("limit %d when the store became slow", n)
	}
	s.takes = far
	if n := s.run(2*time.Minute, 100); n != 32 {
		t.Errorf("limit %d when it was fast again", n)
	}
}

// TestCourtesyNoDemand: as long as one is enough nothing is tried.
func TestCourtesyNoDemand(t *testing.T) {
	s := newShore(noise(time.Millisecond))
	if n := s.run(time.Minute, 1); n != 1 {
		t.Errorf("limit %d", n)
	}
}

// TestCourtesyLate: large messages that wait long come through, whatever the small
// ones feel, and more of them the longer it lasts.
func TestCourtesyLate(t *testing.T) {
	c := newCourtesy(8, time.Minute)
	now := time.Unix(1e9, 0)
	wait := func(waited time.Duration, ticks int) int {
		for range ticks {
			now = now.Add(beat)
			c.smallBegun(now)
			c.largeBegun(now, waited)
			c.tick(now, 5)
		}
		return c.limit(now)
	}
	if n := wait(2*time.Second, 10); n != 1 {
		t.Errorf("%d at once after 2 s", n)
	}
	if n := wait(4*time.Second, 3); n != 4 {
		t.Errorf("%d at once after 4 s", n)
	}
	if n := wait(4*time.Second, 30); n != 8 {
		t.Errorf("%d at once after 4 s for long", n)
	}
	if n := wait(2*time.Second, 10); n != 8 {
		t.Errorf("%d at once: neither late nor early", n)
	}
	if n := wait(time.Second, 4); n != 5 {
		t.Errorf("%d at once when the wait is short again", n)
	}
	c.tick(now, 0)
	if n := c.limit(now); n != 1 {
		t.Errorf("%d at once when nothing waits", n)
	}
}

// TestCourtesyStalled: one that stands still does not keep the others.
func TestCourtesyStalled(t *testing.T) {
	c := newCourtesy(8, time.Minute)
	begun := time.Unix(1e9, 0)
	c.largeBegun(begun, 0)
	now := begun
	for ; c.limit(now) < 2 || now.Equal(begun); now = now.Add(beat) {
		c.smallBegun(now)
		c.tick(now, 1)
		if now.Sub(begun) > time.Minute {
			t.Fatal("never")
		}
	}
	if took := now.Sub(begun); took < stalled || took > 2*stalled {
		t.Errorf("after %s", took)
	}
}

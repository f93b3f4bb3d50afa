package s3

import (
	"math/rand/v2"
	"testing"
	"time"
)

// shore is a store at some distance as courtesy sees it: small requests one after
// another, beside as many large tasks as there are and may be under way.
type shore struct {
	*courtesy
	begun, now, beat time.Time
	// takes gives the time of a small request beside so many large tasks, pause
	// that until the next one, and part that of a large task.
	takes       func(large int) time.Duration
	pause, part time.Duration
	under       []time.Time // ends of the large tasks
	slow        int         // small requests beside two large tasks or more
}

func newShore(takes func(int) time.Duration) *shore {
	now := time.Unix(1e9, 0)
	return &shore{
		courtesy: newCourtesy(32, time.Minute), begun: now, now: now, beat: now,
		takes: takes, part: 20 * time.Millisecond,
	}
}

// run lets so many large tasks want to be under way, for so long.
func (s *shore) run(span time.Duration, large int) {
	for end := s.now.Add(span); s.now.Before(end); {
		s.smallBegun(s.now, 1)
		before := s.step(s.now, large)
		if before > 1 {
			s.slow++
		}
		took := s.takes(before)
		after := s.step(s.now.Add(took), large)
		s.smallDone(s.now, smallRequest{took, 10 << 10, before, after})
		s.step(s.now.Add(s.pause), large)
	}
}

// step goes on to a time and gives the tasks that are then under way.
func (s *shore) step(to time.Time, large int) int {
	for ; !s.now.After(to); s.now = s.now.Add(time.Millisecond) {
		left := s.under[:0]
		for _, end := range s.under {
			if end.After(s.now) {
				left = append(left, end)
			}
		}
		for s.under = left; len(s.under) < min(large, s.limit(s.now)); {
			s.under = append(s.under, s.now.Add(s.part))
			s.largeBegun(s.now, 0)
		}
		for ; s.beat.Before(s.now); s.beat = s.beat.Add(beat) {
			s.tick(s.beat, large-len(s.under))
		}
	}
	s.now = to
	return len(s.under)
}

// noise is a time as an object store has it: most are near the least, and a long tail.
func noise(median time.Duration) func(int) time.Duration {
	r := rand.New(rand.NewPCG(1, 2))
	return func(int) time.Duration {
		return time.Duration(float64(median) * (0.7 + 0.43*r.ExpFloat64()))
	}
}

// feels is a store that takes as much longer as there are more tasks than some.
func feels(alone time.Duration, some int) func(int) time.Duration {
	return func(large int) time.Duration { return alone + alone/2*time.Duration(max(0, large-some)) }
}

func TestCourtesyWithoutSmall(t *testing.T) {
	c := newCourtesy(32, time.Minute)
	now := time.Unix(1e9, 0)
	if n := c.limit(now); n != 32 || c.yields(now) {
		t.Errorf("%d before any small message", n)
	}
	for range 40 { // five a second
		now = now.Add(200 * time.Millisecond)
		if c.smallBegun(now, 1); c.limit(now) != 32 {
			t.Fatalf("%d beside rare ones", c.limit(now))
		}
	}
	for range 40 {
		now = now.Add(20 * time.Millisecond)
		c.smallBegun(now, 1)
	}
	if n := c.limit(now); n != 1 || !c.yields(now) {
		t.Errorf("%d beside fifty a second", n)
	}
	if c.smallBegun(now, 500); c.limit(now.Add(3*time.Second)) != 1 {
		t.Error("a pack of 500 under way is forgotten in 3 s")
	}
	if now = now.Add(5 * time.Second); c.limit(now) != 32 {
		t.Errorf("%d when there were none for long", c.limit(now))
	}
}

// TestCourtesyFar: where the small ones feel nothing, all may be under way.
func TestCourtesyFar(t *testing.T) {
	for name, pause := range map[string]time.Duration{"many": 0, "few": 80 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			s := newShore(noise(5 * time.Millisecond))
			s.pause, s.part = pause, 150*time.Millisecond
			s.run(25*time.Second, 100)
			if s.level != 32 {
				t.Fatalf("level %d", s.level)
			}
			least := 32
			for range 20 {
				s.run(time.Minute, 100)
				least = min(least, s.level)
			}
			if least != 32 {
				t.Errorf("level %d in twenty minutes", least)
			}
		})
	}
}

// TestCourtesyNear: where they feel two, there is one, but for a trial at times.
func TestCourtesyNear(t *testing.T) {
	s := newShore(feels(4*time.Millisecond, 1))
	s.run(time.Minute, 100)
	if s.level != 1 || s.slow < s.samples/4 || s.slow > s.samples {
		t.Errorf("level %d, %d requests beside more", s.level, s.slow)
	}
	s.slow = 0
	s.run(time.Hour, 100)
	if s.level != 1 || s.slow < 10*s.samples/4 || s.slow > 12*s.samples {
		t.Errorf("level %d, %d requests beside more in an hour", s.level, s.slow)
	}
}

// TestCourtesyBetween: where they feel more than four, there are four, however long
// those take that a trial let in.
func TestCourtesyBetween(t *testing.T) {
	for _, part := range []time.Duration{20 * time.Millisecond, 400 * time.Millisecond, 2 * time.Second} {
		s := newShore(feels(5*time.Millisecond, 4))
		s.part = part
		s.run(time.Minute, 100)
		if s.level != 4 {
			t.Errorf("level %d where a part takes %s", s.level, part)
		}
	}
}

// TestCourtesyChanges: a store that becomes slower, with or without the large ones,
// is looked at anew, and so is one that becomes faster.
func TestCourtesyChanges(t *testing.T) {
	s := newShore(noise(20 * time.Millisecond))
	check := func(what string, takes func(int) time.Duration, after time.Duration, level int) {
		t.Helper()
		s.takes = takes
		if s.run(after, 100); s.level != level {
			t.Errorf("%s: level %d, want %d", what, s.level, level)
		}
	}
	check("far", s.takes, 30*time.Second, 32)
	check("slower for its own reasons", noise(40*time.Millisecond), time.Minute, 32)
	check("near", feels(20*time.Millisecond, 1), time.Minute, 1)
	check("far again", noise(20*time.Millisecond), between+time.Minute, 32)
	check("slow at first", noise(60*time.Millisecond), between+time.Minute, 32)
	check("fast, and near", func(large int) time.Duration {
		return min(feels(10*time.Millisecond, 1)(large), 40*time.Millisecond) // less than before in any case
	}, between+time.Minute, 1)
}

// TestCourtesyNoDemand: as long as one is enough nothing is tried.
func TestCourtesyNoDemand(t *testing.T) {
	s := newShore(noise(time.Millisecond))
	if s.run(time.Minute, 1); s.level != 1 {
		t.Errorf("level %d", s.level)
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
			c.smallBegun(now, 100)
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
	for ; c.limit(now) != 2; now = now.Add(beat) {
		c.smallBegun(now, 100)
		c.tick(now, 1)
		if now.Sub(begun) > time.Minute {
			t.Fatal("never")
		}
	}
	if took := now.Sub(begun); took < c.stalled || took > 2*c.stalled {
		t.Errorf("after %s", took)
	}
}

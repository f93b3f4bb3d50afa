package s3

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// simulatedStore is a store as the limiter sees it. Small requests follow one another,
// alongside as many large tasks as exist and are allowed.
type simulatedStore struct {
	*backgroundLimiter
	now, lastTick time.Time
	latency       func(large int) time.Duration // of a small request alongside these large tasks
	thinkTime     time.Duration                 // between two small requests
	partTime      time.Duration                 // of a large task
	ends          []time.Time                   // of the large tasks in flight
	slow          int                           // small requests alongside two or more large tasks
}

func newSimulatedStore(latency func(int) time.Duration) *simulatedStore {
	now := time.Unix(1e9, 0)
	return &simulatedStore{
		backgroundLimiter: newBackgroundLimiter(32, time.Minute), now: now, lastTick: now,
		latency: latency, partTime: 20 * time.Millisecond,
	}
}

// run goes on for span while there are always this many large tasks.
func (s *simulatedStore) run(span time.Duration, large int) {
	for end := s.now.Add(span); s.now.Before(end); {
		s.smallStarted(s.now, 1)
		before := s.advance(s.now, large)
		if before > 1 {
			s.slow++
		}
		took := s.latency(before)
		after := s.advance(s.now.Add(took), large)
		s.smallDone(s.now, smallRequest{took, 10 << 10, before, after})
		s.advance(s.now.Add(s.thinkTime), large)
	}
}

// advance goes on to a time, by the milliseconds in which something happens, and returns
// the number of large tasks then in flight.
func (s *simulatedStore) advance(to time.Time, large int) int {
	for !s.now.After(to) {
		for len(s.ends) > 0 && !s.ends[0].After(s.now) { // in order: all take partTime
			s.ends = s.ends[1:]
		}
		for allowed := min(large, s.allowed(s.now)); len(s.ends) < allowed; {
			s.ends = append(s.ends, s.now.Add(s.partTime))
			s.largeStarted(s.now, 0)
		}
		ticked := s.lastTick.Before(s.now)
		for ; s.lastTick.Before(s.now); s.lastTick = s.lastTick.Add(tickInterval) {
			s.tick(s.lastTick, large-len(s.ends))
		}
		s.now = s.now.Add(max(s.quiet(ticked, large)+time.Millisecond-1, time.Millisecond).Truncate(time.Millisecond))
	}
	s.now = to
	return len(s.ends)
}

// quiet returns how long nothing happens: no large task ends, no tick follows, and no
// further task is allowed, as after a tick or once small requests are rare.
func (s *simulatedStore) quiet(ticked bool, large int) time.Duration {
	if ticked {
		return 0
	}
	quiet := s.lastTick.Sub(s.now) + 1
	if len(s.ends) > 0 {
		quiet = min(quiet, s.ends[0].Sub(s.now))
	}
	if len(s.ends) < min(large, s.max) {
		contended := math.Log(s.rate(s.now)/s.contendedRate) * float64(rateWindow)
		quiet = min(quiet, time.Duration(contended))
	}
	return quiet
}

// noisy is the latency of a real store: most requests are near the minimum, and a long
// tail is not.
func noisy(median time.Duration) func(int) time.Duration {
	r := rand.New(rand.NewPCG(1, 2))
	return func(int) time.Duration {
		return time.Duration(float64(median) * (0.7 + 0.43*r.ExpFloat64()))
	}
}

// degrading is the latency of a store that slows down with each task above threshold.
func degrading(alone time.Duration, threshold int) func(int) time.Duration {
	return func(large int) time.Duration { return alone + alone/2*time.Duration(max(0, large-threshold)) }
}

func TestLimiterWithoutSmall(t *testing.T) {
	l := newBackgroundLimiter(32, time.Minute)
	now := time.Unix(1e9, 0)
	if n := l.allowed(now); n != 32 || l.contended(now) {
		t.Errorf("%d allowed before any small message", n)
	}
	for range 40 { // five a second
		now = now.Add(200 * time.Millisecond)
		if l.smallStarted(now, 1); l.allowed(now) != 32 {
			t.Fatalf("%d allowed alongside rare ones", l.allowed(now))
		}
	}
	for range 40 {
		now = now.Add(20 * time.Millisecond)
		l.smallStarted(now, 1)
	}
	if n := l.allowed(now); n != 1 || !l.contended(now) {
		t.Errorf("%d allowed alongside fifty a second", n)
	}
	if l.smallStarted(now, 500); l.allowed(now.Add(3*time.Second)) != 1 {
		t.Error("a pack of 500 in flight is forgotten within 3 s")
	}
	if now = now.Add(5 * time.Second); l.allowed(now) != 32 {
		t.Errorf("%d allowed after a long time without small messages", l.allowed(now))
	}
}

// TestLimiterFarStore checks that the limit reaches the maximum, and stays there, where
// small requests are not slowed.
func TestLimiterFarStore(t *testing.T) {
	for name, pause := range map[string]time.Duration{"many": 0, "few": 80 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			s := newSimulatedStore(noisy(5 * time.Millisecond))
			s.thinkTime, s.partTime = pause, 150*time.Millisecond
			s.run(25*time.Second, 100)
			if s.limit != 32 {
				t.Fatalf("limit %d", s.limit)
			}
			least := 32
			for range 20 {
				s.run(time.Minute, 100)
				least = min(least, s.limit)
			}
			if least != 32 {
				t.Errorf("limit %d within twenty minutes", least)
			}
		})
	}
}

// TestLimiterNearStore checks that the limit is one, except in short probes, where a
// second large task slows small requests.
func TestLimiterNearStore(t *testing.T) {
	s := newSimulatedStore(degrading(4*time.Millisecond, 1))
	s.run(time.Minute, 100)
	if s.limit != 1 || s.slow < s.minSamples/4 || s.slow > s.minSamples {
		t.Errorf("limit %d, %d requests alongside more", s.limit, s.slow)
	}
	s.slow = 0
	s.run(time.Hour, 100)
	if s.limit != 1 || s.slow < 10*s.minSamples/4 || s.slow > 12*s.minSamples {
		t.Errorf("limit %d, %d requests alongside more in an hour", s.limit, s.slow)
	}
}

// TestLimiterMiddleStore checks that the limit is four where a fifth large task slows
// small requests, however long the tasks of a probe take.
func TestLimiterMiddleStore(t *testing.T) {
	for _, part := range []time.Duration{20 * time.Millisecond, 400 * time.Millisecond, 2 * time.Second} {
		s := newSimulatedStore(degrading(5*time.Millisecond, 4))
		s.partTime = part
		s.run(time.Minute, 100)
		if s.limit != 4 {
			t.Errorf("limit %d where a part takes %s", s.limit, part)
		}
	}
}

// TestLimiterStoreChanges checks that a store is probed again when it becomes slower,
// because of large messages or not, and when it becomes faster.
func TestLimiterStoreChanges(t *testing.T) {
	s := newSimulatedStore(noisy(20 * time.Millisecond))
	check := func(what string, latency func(int) time.Duration, after time.Duration, limit int) {
		t.Helper()
		s.latency = latency
		if s.run(after, 100); s.limit != limit {
			t.Errorf("%s: limit %d, want %d", what, s.limit, limit)
		}
	}
	check("far", s.latency, 30*time.Second, 32)
	check("slower for its own reasons", noisy(40*time.Millisecond), time.Minute, 32)
	check("near", degrading(20*time.Millisecond, 1), time.Minute, 1)
	check("far again", noisy(20*time.Millisecond), probeInterval+time.Minute, 32)
	check("slow at first", noisy(60*time.Millisecond), probeInterval+time.Minute, 32)
	check("fast, and near", func(large int) time.Duration {
		return min(degrading(10*time.Millisecond, 1)(large), 40*time.Millisecond) // always faster than before
	}, probeInterval+time.Minute, 1)
}

// TestLimiterWithoutDemand checks that no higher limit is tried while one is enough.
func TestLimiterWithoutDemand(t *testing.T) {
	s := newSimulatedStore(noisy(time.Millisecond))
	if s.run(time.Minute, 1); s.limit != 1 {
		t.Errorf("limit %d", s.limit)
	}
}

// TestLimiterLongWait checks that large messages that wait long are let through whatever
// small ones suffer, and more of them the longer it lasts.
func TestLimiterLongWait(t *testing.T) {
	l := newBackgroundLimiter(8, time.Minute)
	now := time.Unix(1e9, 0)
	wait := func(waited time.Duration, ticks int) int {
		for range ticks {
			now = now.Add(tickInterval)
			l.smallStarted(now, 100)
			l.largeStarted(now, waited)
			l.tick(now, 5)
		}
		return l.allowed(now)
	}
	if n := wait(2*time.Second, 10); n != 1 {
		t.Errorf("%d allowed after 2 s", n)
	}
	if n := wait(4*time.Second, 3); n != 4 {
		t.Errorf("%d allowed after 4 s", n)
	}
	if n := wait(4*time.Second, 30); n != 8 {
		t.Errorf("%d allowed after long waits of 4 s", n)
	}
	if n := wait(2*time.Second, 10); n != 8 {
		t.Errorf("%d allowed at a wait between the two bounds", n)
	}
	if n := wait(time.Second, 4); n != 5 {
		t.Errorf("%d allowed when the wait is short again", n)
	}
	l.tick(now, 0)
	if n := l.allowed(now); n != 1 {
		t.Errorf("%d allowed when nothing waits", n)
	}
}

// TestLimiterStalledTask checks that a stalled task does not hold up the others.
func TestLimiterStalledTask(t *testing.T) {
	l := newBackgroundLimiter(8, time.Minute)
	started := time.Unix(1e9, 0)
	l.largeStarted(started, 0)
	now := started
	for ; l.allowed(now) != 2; now = now.Add(tickInterval) {
		l.smallStarted(now, 100)
		l.tick(now, 1)
		if now.Sub(started) > time.Minute {
			t.Fatal("never")
		}
	}
	if took := now.Sub(started); took < l.stallTimeout || took > 2*l.stallTimeout {
		t.Errorf("after %s", took)
	}
}

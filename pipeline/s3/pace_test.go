package s3

import (
	"testing"
	"time"
)

// TestPatience checks how long attempts may stand still, by what was observed.
func TestPatience(t *testing.T) {
	const kib, mib = 1 << 10, 1 << 20
	var p pace
	check := func(when string, bytes int64, least, most time.Duration) {
		t.Helper()
		if got := p.patience(bytes); got < least || got > most {
			t.Errorf("%s: %v for %d bytes, want %v to %v", when, got, bytes, least, most)
		}
	}
	for _, bytes := range []int64{0, kib, 64 * mib} {
		check("nothing is known", bytes, leastPatience, leastPatience)
	}
	for range 100 {
		p.observe(10*kib, 5*time.Millisecond)
	}
	check("a fast store", kib, leastPatience, leastPatience)
	check("a fast store, larger", 8*mib, leastPatience, 3*time.Second)
	p.observe(8*mib, 4*time.Second)
	check("one large", 8*mib, 8*time.Second, 12*time.Second)
	check("one large, and small ones", 10*kib, leastPatience, leastPatience)
	for range 50 {
		p.observe(10*kib, 5*time.Second)
	}
	check("slow by now", 10*kib, 9*time.Second, 12*time.Second)
	check("larger than any", 100*mib, 20*time.Second, 48*time.Second)
	for range 100 {
		p.observe(10*kib, 5*time.Millisecond)
	}
	check("fast again", 10*kib, leastPatience, leastPatience)
}

// TestPatienceClasses checks the borders between the classes of sizes.
func TestPatienceClasses(t *testing.T) {
	var p pace
	for bytes, want := range map[int64]int{
		0: 0, 1: 0, 64 << 10: 0, 64<<10 + 1: 1, 256 << 10: 1, 256<<10 + 1: 2, 1 << 20: 2, 1<<20 + 1: 3,
		4 << 20: 3, 5 << 20: 4, 16 << 20: 4, 16<<20 + 1: 5, 1 << 40: 5,
	} {
		if got := p.class(bytes); got != want {
			t.Errorf("%d bytes are of class %d, want %d", bytes, got, want)
		}
	}
}

package driver

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/pipeline"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// However deadlines are moved, a connection is due at its last deadline, never
// before, and no later than the tick that turns past it.
func TestWheel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w wheel
		w.tick = rapid.Int64Range(1, 1<<32-100_000).Draw(t, "start")
		conns := make([]Conn, 8)
		want := map[*Conn]int64{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			c := &conns[rapid.IntRange(0, len(conns)-1).Draw(t, "conn")]
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				deadline := w.tick + rapid.Int64Range(0, 5000).Draw(t, "deadline")
				w.set(c, deadline)
				want[c] = max(deadline, w.tick+1)
			case 2:
				w.remove(c)
				delete(want, c)
			case 3:
				to := w.tick + rapid.Int64Range(0, 3000).Draw(t, "turn")
				due := map[*Conn]bool{}
				w.turn(to, func(c *Conn) { due[c] = true })
				for c, deadline := range want {
					if due[c] != (deadline <= to) {
						t.Fatalf("due %v at %d, deadline %d", due[c], to, deadline)
					}
					if due[c] {
						delete(want, c)
					}
				}
			}
			if w.size != len(want) || len(w.all()) != len(want) {
				t.Fatalf("wheel holds %d, %d listed, want %d", w.size, len(w.all()), len(want))
			}
		}
	})
}

func TestAddressCounts(t *testing.T) {
	counts := newAddressCounts()
	var wg sync.WaitGroup
	address := func(i int) uint64 { return counts.cells(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})) }
	for g := range 4 {
		wg.Go(func() {
			for i := range 5000 {
				counts.add(address(i))
				if i%2 == g%2 {
					counts.drop(address(i))
				}
			}
		})
	}
	wg.Wait()
	wrong := 0
	for i := range 5000 {
		if n := counts.add(address(i)); n < 3 {
			t.Fatalf("address %d counted %d, has 3", i, n)
		} else if n > 3 {
			wrong++
		}
		counts.drop(address(i))
	}
	if wrong > 5 { // 5,000 addresses in 65,536 cells: (1/13)^4 of them at most
		t.Errorf("%d of 5,000 addresses are counted too high", wrong)
	}
}

// Tasks that are posted while the loop works, rests or falls asleep are all
// opened, and nothing but a wake-up makes the loop look.
func TestInboxLosesNothing(t *testing.T) {
	o := testOptions()
	w := newWorld(t, o)
	wake := make(chan struct{}, 1)
	o.Options = w.shared.Options
	o.Clock = fixedClock{w.now} // the world's clock is for one goroutine
	shared := NewShared(o.Options)
	loop := shared.NewLoop(wakeFunc(func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}), new(worldRandom))
	const senders, each = 8, 20000
	var opened atomic.Int64
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			back := make(chan struct{}, 1)
			p := &pipeline.Task{Run: func() { opened.Add(1); back <- struct{}{} }}
			for range each {
				loop.Post(p)
				<-back
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for {
		select {
		case <-wake:
			loop.Run()
		case <-done:
			if n := opened.Load(); n != senders*each {
				t.Errorf("%d opened, want %d", n, senders*each)
			}
			return
		case <-time.After(10 * time.Second):
			t.Fatalf("a task was lost: %d of %d run", opened.Load(), senders*each)
		}
	}
}

type fixedClock struct{ now time.Time }

func (c fixedClock) Now() time.Time { return c.now }

type wakeFunc func()

func (f wakeFunc) Wake() { f() }

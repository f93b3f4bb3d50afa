package sim

import (
	"flag"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/panics"
)

var (
	oneSeed   = flag.Uint64("sim.seed", 0, "simulate this seed alone and print its trace")
	firstSeed = flag.Uint64("sim.first", 1, "the first of the seeds")
	manySeeds = flag.Int("sim.seeds", 300, "simulate so many seeds")
	seedsFor  = flag.Duration("sim.for", 0, "simulate fresh seeds for so long")
)

// simulate lives one world and returns the invariant that was broken.
func simulate(seed uint64) (w *world, broken string) {
	w = newWorld(seed)
	w.run()
	return w, w.broken
}

// report is what many worlds add up to.
type report struct {
	sync.Mutex
	tally  tally
	worlds int
}

// live lives one world and reports what was wrong with it.
func (r *report) live(t *testing.T, seed uint64) {
	w, broken := simulate(seed)
	r.add(w)
	if broken != "" {
		t.Errorf("seed %d: %s\n%sreplay: go test ./gateway/sim -run TestSeeds -sim.seed=%d", seed, broken, &w.trace, seed)
	}
}

func (r *report) add(w *world) {
	r.Lock()
	defer r.Unlock()
	r.worlds++
	r.tally.add(w.tally)
}

// happens is what must happen in some world.
var happens = []string{
	"250", "kill -9", "SIGTERM", "store error", "part error", "log error", "late answer",
	"client reset", "client deaf", "client stalls", "no descriptor", "store out", "log out", "log out alone", "topic refused", "silent request", "credit granted", "credit refused",
	"texts refused", "refusal recipient_errors", "packs", "packs held", "packs with a message left over", "no room for a lane", "pack error", "pack splits", "pauses for memory", "pauses for outcome", "pauses for client", "pauses for credit",
	"hoarded", "hoarded with a refused text", "relief of body", "relief of envelope", "calls", "calls overdue", "calls of ended sessions", "reload", "proxy late", "proxy displaced", "tls", "tls timeout", "tls busy", "tls gone", "handshakes dropped", "broken record", "close_notify",
	"auth accepted", "auth wrong_password", "auth unreachable", "auth busy", "auth timeout", "auth held", "auth too late", "auth for nobody", "auth before TLS", "auth before XCLIENT", "auth token refused",
	"verifier silent", "verifier late", "verifier fails", "verifier refuses", "verification dropped", "verdict overdue", "late verify",
	"forged", "forged where it is not", "header too long", "refusal unverified", "refusal dmarc",
}

// missing returns what happened in none of many worlds.
func (r *report) missing() (all []string) {
	for _, what := range happens {
		if r.tally[what] == 0 && r.worlds >= 100 {
			all = append(all, what)
		}
	}
	return all
}

// liveMany lives the worlds from a seed on, or those of a while.
func (r *report) liveMany(t *testing.T, first, from uint64) {
	began := time.Now()
	var next atomic.Uint64
	next.Store(from)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				n := next.Add(1) - 1
				if n-from >= uint64(*manySeeds) || *seedsFor > 0 && time.Since(began) > *seedsFor || t.Failed() {
					return
				}
				r.live(t, first+n)
				if n%4 == 3 {
					r.live(t, callWorlds|(first+n))
				}
				if n%8 == 5 {
					r.live(t, hoardWorlds|(first+n))
					r.live(t, frontWorlds|(first+n))
				}
				if n%4 == 2 {
					r.live(t, secureWorlds|(first+n))
				}
				if n%8 == 1 {
					r.live(t, authWorlds|authAlso[n/8%4]|(first+n))
				}
				if n%4 == 0 {
					r.live(t, verifyWorlds|verifyAlso[n/4%8]|(first+n))
				}
			}
		})
	}
	workers.Wait()
}

// TestSeeds lives worlds of fixed seeds, or for a while of fresh ones.
func TestSeeds(t *testing.T) {
	if *oneSeed != 0 {
		w, broken := simulate(*oneSeed)
		t.Logf("seed %d: %+v\n%s%v", *oneSeed, w.plan, &w.trace, w.tally)
		if broken != "" {
			t.Error(broken)
		}
		return
	}
	panics.Notify(func(at panics.Place, reason any, stack []byte) {
		t.Errorf("panic in %s: %v\n%s", at, reason, stack)
	})
	first, began := *firstSeed, time.Now()
	if *seedsFor > 0 {
		first = uint64(began.UnixNano())
		*manySeeds = 1 << 30
	}
	r := &report{tally: tally{}}
	r.liveMany(t, first, 0)
	// Each change of the product makes other worlds. What is rare may come in the next ones;
	// fresh ones may lack it.
	for more := uint64(1); more < 4 && *seedsFor == 0 && !t.Failed() && r.missing() != nil; more++ {
		r.liveMany(t, first, more*uint64(*manySeeds))
	}
	took := time.Since(began)
	t.Logf("%d worlds, %d messages received, %d delivered, %d steps in %v (%.0f messages received in 10 minutes)\n%v", r.worlds,
		r.tally["messages received"], r.tally["messages delivered"], r.tally["steps"], took.Round(time.Millisecond),
		float64(r.tally["messages received"])*600/took.Seconds(), r.tally)
	if missing := r.missing(); missing != nil && *seedsFor == 0 {
		t.Errorf("not in %d worlds: %q", r.worlds, missing)
	}
}

// TestReplay: a seed is the same world each time.
func TestReplay(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3, 4, 5, callWorlds | 1, callWorlds | 2, hoardWorlds | 1, frontWorlds | 1, secureWorlds | 1, secureWorlds | 2, authWorlds | 1, authWorlds | secureWorlds | 1, verifyWorlds | 1, verifyWorlds | 2} {
		a, _ := simulate(seed)
		b, _ := simulate(seed)
		if a.trace.hash != b.trace.hash || a.trace.count != b.trace.count {
			t.Errorf("seed %d: %d steps and then %d", seed, a.trace.count, b.trace.count)
		}
	}
}

package s3

import (
	"bytes"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/pipeline/pack"
	"sluice/pipeline/porttest"
)

func TestLimiterGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newLimiterGate(3, time.Minute)
		g.observe(100)
		var in atomic.Int32
		for range 3 {
			go func() { // one after another, as tasks come from the queue
				g.acquire(time.Now())
				in.Add(1)
			}()
			synctest.Wait()
		}
		if n := in.Load(); n != 1 {
			t.Fatalf("%d in flight alongside small messages", n)
		}
		g.release()
		synctest.Wait()
		if n := in.Load(); n != 2 {
			t.Fatalf("%d were let in after one release", n)
		}
		time.Sleep(10 * rateWindow)
		g.tick(time.Now(), 1)
		synctest.Wait()
		if n := in.Load(); n != 3 || g.allowed() != 3 {
			t.Fatalf("%d of 3 were let in without small messages", n)
		}
	})
}

// TestLimiterGatePause checks that hashing pauses only alongside small messages.
func TestLimiterGatePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newLimiterGate(3, time.Minute)
		paused := func() time.Duration {
			begun := time.Now()
			g.pause()
			return time.Since(begun)
		}
		if d := paused(); d != 0 {
			t.Errorf("paused %s without small messages", d)
		}
		g.observe(100)
		if paused() == 0 {
			t.Error("no pause alongside small messages")
		}
	})
}

// forceSerial limits large messages to one task in flight, always.
func forceSerial(s *Store) {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	l := s.gate.limiter
	l.contendedRate, l.maxWait, l.stallTimeout, l.minSamples = 0, time.Hour, time.Hour, math.MaxInt
}

// TestCloseBehindGate checks that tasks that wait behind a stalled one have their results
// when the store is closed.
func TestCloseBehindGate(t *testing.T) {
	f := newFake(t)
	begun, release := holdParts(f)
	defer close(release)
	o := f.options()
	o.Pack, o.CloseTimeout = &pack.Options{}, 100*time.Millisecond
	s := mustOpen(t, o)
	forceSerial(s)
	large := porttest.NewLarge(s, bytes.Repeat([]byte("first"), MinPartSize/5))
	for range 4 {
		large.PutPart(make([]byte, MinPartSize))
	}
	<-begun
	if err := s.Close(); err == nil {
		t.Error("closed in time, though a part was in flight")
	}
	if failure, err := large.Wait(); failure == nil || err != nil {
		t.Error(failure, err)
	}
	if s.Depth() != 0 || len(begun) != 0 {
		t.Errorf("depth %d, %d more parts were sent", s.Depth(), len(begun))
	}
}

// TestLargeAreLimited checks that one request for large messages is in flight while small
// ones are stored, and that all succeed.
func TestLargeAreLimited(t *testing.T) {
	f := newFake(t)
	var under, most atomic.Int32
	begun := make(chan struct{}, 1)
	f.answer = func(_ http.ResponseWriter, r request) bool {
		if !strings.HasPrefix(r.what, "part ") {
			return false
		}
		select {
		case begun <- struct{}{}:
		default:
		}
		now := under.Add(1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
		under.Add(-1)
		return false
	}
	o := f.options()
	o.Pack = &pack.Options{}
	s := mustOpen(t, o)
	forceSerial(s)
	if n := s.LargeLimit(); n != 1 {
		t.Fatalf("limit %d", n)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			large := porttest.NewLarge(s, bytes.Repeat([]byte("first"), MinPartSize/5))
			for range 3 {
				large.PutPart(make([]byte, MinPartSize))
			}
			if failure, err := large.Wait(); failure != nil || err != nil {
				t.Error(failure, err)
			}
			if err := large.Put(); err != nil || large.M.Result.Err != nil {
				t.Error(err, large.M.Result.Err)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for stored := 0; ; stored++ {
		select {
		case <-done:
			if most.Load() != 1 || stored == 0 {
				t.Errorf("%d parts at the same time, alongside %d small messages", most.Load(), stored)
			}
			return
		default:
			mustStore(t, s, "small")
		}
	}
}

// TestHashPauses checks that a worker pauses while it hashes a large body, and that the
// worker of a lane does not.
func TestHashPauses(t *testing.T) {
	pauses := 0
	o := newFake(t).options()
	w := newWorker(mustOpen(t, o))
	m := porttest.NewMessage(make([]byte, 4*pauseEvery))
	alone := w.hash(w.digest, 0, &m.Body)
	w.pause = func() { pauses++ }
	if crc := w.hash(w.digest, 0, &m.Body); crc != alone || pauses < 3 || pauses > 4 { // slabs have several sizes
		t.Errorf("%d pauses, checksum %x and %x", pauses, crc, alone)
	}
}

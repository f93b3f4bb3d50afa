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

func TestTurnstile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurnstile(3, time.Minute)
		s.small(100)
		var in atomic.Int32
		for range 3 {
			go func() { // one after another, as they are handed over
				s.enter(time.Now())
				in.Add(1)
			}()
			synctest.Wait()
		}
		if n := in.Load(); n != 1 {
			t.Fatalf("%d are in beside small messages", n)
		}
		s.leave()
		synctest.Wait()
		if n := in.Load(); n != 2 {
			t.Fatalf("%d have come in after one left", n)
		}
		time.Sleep(10 * memory)
		s.tick(time.Now(), 1)
		synctest.Wait()
		if n := in.Load(); n != 3 || s.limit() != 3 {
			t.Fatalf("%d of 3 have come in when all was quiet", n)
		}
	})
}

// TestTurnstileRest: hashing rests only beside small messages.
func TestTurnstileRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurnstile(3, time.Minute)
		rested := func() time.Duration {
			begun := time.Now()
			s.rest()
			return time.Since(begun)
		}
		if d := rested(); d != 0 {
			t.Errorf("rested %s alone", d)
		}
		s.small(100)
		if rested() == 0 {
			t.Error("no rest beside a small message")
		}
	})
}

// giveWay lets one task of large messages be under way at a time, always.
func giveWay(s *Store) {
	s.turnstile.mu.Lock()
	defer s.turnstile.mu.Unlock()
	law := s.turnstile.law
	law.frequent, law.late, law.stalled, law.samples = 0, time.Hour, time.Hour, math.MaxInt
}

// TestCloseBehindTurnstile: what waits its turn behind a task that stands still has
// its result when the store is closed.
func TestCloseBehindTurnstile(t *testing.T) {
	f := newFake(t)
	begun, release := holdParts(f)
	defer close(release)
	o := f.options()
	o.Pack, o.CloseTimeout = &pack.Options{}, 100*time.Millisecond
	s := mustOpen(t, o)
	giveWay(s)
	large := porttest.NewLarge(s, bytes.Repeat([]byte("first"), MinPartSize/5))
	for range 4 {
		large.PutPart(make([]byte, MinPartSize))
	}
	<-begun
	if err := s.Close(); err == nil {
		t.Error("closed in time, though a part was under way")
	}
	if failure, err := large.Wait(); failure == nil || err != nil {
		t.Error(failure, err)
	}
	if s.Depth() != 0 || len(begun) != 0 {
		t.Errorf("depth %d, %d more parts were begun", s.Depth(), len(begun))
	}
}

// TestLargeGiveWay: while small messages are stored, one request of large ones is
// under way at the same time, and all come through.
func TestLargeGiveWay(t *testing.T) {
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
	giveWay(s)
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
			if err := large.Put(); err != nil || large.M.Err != nil {
				t.Error(err, large.M.Err)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for stored := 0; ; stored++ {
		select {
		case <-done:
			if most.Load() != 1 || stored == 0 {
				t.Errorf("%d parts at the same time, beside %d small messages", most.Load(), stored)
			}
			return
		default:
			mustStore(t, s, "small")
		}
	}
}

// TestHashRests: a worker rests while it hashes something large, and a lane never.
func TestHashRests(t *testing.T) {
	rests := 0
	o := newFake(t).options()
	w := newWorker(mustOpen(t, o))
	m := porttest.NewMessage(make([]byte, 4*resting))
	alone := w.hash(w.digest, 0, &m.Body)
	w.rest = func() { rests++ }
	if crc := w.hash(w.digest, 0, &m.Body); crc != alone || rests < 3 || rests > 4 { // slabs have several sizes
		t.Errorf("%d rests, checksum %x and %x", rests, crc, alone)
	}
}

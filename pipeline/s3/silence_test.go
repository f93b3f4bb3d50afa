package s3

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/pipeline/pack"
	"sluice/pipeline/porttest"
)

// load stores small messages, each of senders one after another, until it is stopped.
type load struct {
	stored, failed atomic.Int64
	end            atomic.Bool
	senders        sync.WaitGroup
}

func startLoad(t *testing.T, s *Store, senders int) *load {
	t.Helper()
	l := &load{}
	for range senders {
		l.senders.Go(func() {
			for !l.end.Load() {
				sent, err := porttest.Store(s, porttest.NewMessage([]byte("small\r\n")))
				if err != nil || sent.Err != nil {
					l.failed.Add(1)
					t.Log(errors.Join(err, sent.Err))
					continue
				}
				l.stored.Add(1)
			}
		})
	}
	return l
}

// more waits until n further messages were stored, and returns how long that took.
func (l *load) more(t *testing.T, n int64) time.Duration {
	t.Helper()
	began, before := time.Now(), l.stored.Load()
	testkit.Eventually(t, "further messages are stored", func() bool { return l.stored.Load() >= before+n })
	return time.Since(began)
}

// stop ends the load. No message may have failed.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.end.Store(true)
	l.senders.Wait()
	if n := l.failed.Load(); n > 0 {
		t.Errorf("%d messages failed", n)
	}
}

// TestSilentConnections checks that mail goes on by new connections when every open one
// takes all and answers nothing.
func TestSilentConnections(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	v := newValve()
	o := f.options()
	o.dial, o.Pack, o.failures = v.dial, &pack.Options{}, 0
	s := mustOpen(t, o)
	l := startLoad(t, s, 20)
	l.more(t, 100)
	v.swallow()
	if took := l.more(t, 100); took > 3*time.Second+slack {
		t.Errorf("mail stood still for %v", took)
	}
	l.stop(t)
}

// TestRefusedConnections checks that messages wait for a store that is away for a moment,
// and are stored soon after it is back.
func TestRefusedConnections(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	v := newValve()
	o := f.options()
	o.dial, o.Pack, o.failures = v.dial, &pack.Options{}, 0
	s := mustOpen(t, o)
	l := startLoad(t, s, 20)
	l.more(t, 100)
	restore := v.cut()
	time.Sleep(1500 * time.Millisecond)
	restore()
	if took := l.more(t, 100); took > 3*time.Second+slack {
		t.Errorf("mail came back after %v", took)
	}
	l.stop(t)
}

// TestSlowStoreIsNotFlooded checks that a store that takes long for each request has at
// most twice as many of them as there are lanes, and is no longer asked twice once its
// pace is known.
func TestSlowStoreIsNotFlooded(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var inFlight, most atomic.Int64
	f.answer = func(_ http.ResponseWriter, r request) bool {
		if r.what != "put" && r.what != "pack" {
			return false
		}
		n := inFlight.Add(1)
		defer inFlight.Add(-1)
		for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
		}
		time.Sleep(2500 * time.Millisecond)
		return false
	}
	o := f.options()
	o.Pack = &pack.Options{}
	s := mustOpen(t, o)
	l := startLoad(t, s, 20)
	l.more(t, 1)
	l.stop(t)
	if n := most.Load(); n > 2*pack.DefaultLanes {
		t.Errorf("%d requests in flight, at most %d wanted", n, 2*pack.DefaultLanes)
	}
}

// TestLaneWhileOneStands checks that another lane opens while one stands still and the
// store answers others, that it closes afterwards, and that its spare request comes back.
func TestLaneWhileOneStands(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	const mark = "this one stands still"
	var inFlight, most, standing atomic.Int64
	released := make(chan struct{})
	f.answer = func(_ http.ResponseWriter, r request) bool {
		if r.what != "put" && r.what != "pack" {
			return false
		}
		if strings.Contains(r.body, mark) {
			standing.Add(1)
			<-released
			return false
		}
		n := inFlight.Add(1)
		defer inFlight.Add(-1)
		for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
		}
		time.Sleep(5 * time.Millisecond) // so that requests meet
		return false
	}
	o := f.options()
	o.Pack = &pack.Options{Lanes: 2, Limits: pack.Limits{Messages: 1}}
	s := mustOpen(t, o)
	l := startLoad(t, s, 20)
	l.more(t, 10)
	most.Store(0)
	stalled := make(chan error, 1)
	go func() {
		sent, err := porttest.Store(s, porttest.NewMessage([]byte(mark)))
		stalled <- errors.Join(err, sent.Err)
	}()
	testkit.Eventually(t, "one lane stands still", func() bool { return standing.Load() > 0 })
	l.more(t, 10)
	most.Store(0)
	testkit.Eventually(t, "two others are busy beside it", func() bool { return most.Load() >= 2 })
	close(released)
	if err := <-stalled; err != nil {
		t.Error(err)
	}
	l.stop(t)
	testkit.Eventually(t, "all spare requests come back", func() bool {
		taken := 0
		for s.batcher.TakeSpare() {
			taken++
		}
		for range taken {
			s.batcher.ReturnSpare()
		}
		return taken == o.Pack.Lanes
	})
}

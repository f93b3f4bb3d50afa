package inflight_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/pipeline/inflight"
)

func TestDepthCountsRequestsUntilTheirResults(t *testing.T) {
	tracker := inflight.New()
	for range 3 {
		if !tracker.Begin() {
			t.Fatal("an open tracker refuses a request")
		}
	}
	tracker.Done(1)
	if tracker.Depth() != 2 {
		t.Errorf("depth %d after three requests and one result", tracker.Depth())
	}
	tracker.Done(2)
	if tracker.Depth() != 0 || tracker.Closed() {
		t.Errorf("depth %d, closed %t at the end", tracker.Depth(), tracker.Closed())
	}
}

func TestCloseRefusesAndIsFirstOnce(t *testing.T) {
	tracker := inflight.New()
	if !tracker.Close() || tracker.Close() || !tracker.Closed() {
		t.Error("only the first Close is the first")
	}
	if tracker.Begin() {
		t.Error("a closed tracker takes a request")
	}
	if tracker.Depth() != 1 {
		t.Errorf("depth %d while a refused request has no result yet", tracker.Depth())
	}
	tracker.Done(1)
	tracker.Wait()
}

// A hint may be left of an earlier moment without requests: it must not end the wait.
func TestWaitOutlivesStaleHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := inflight.New()
		tracker.Begin()
		tracker.Done(1) // leaves a hint
		tracker.Begin()
		tracker.Begin()
		tracker.Close()
		var waited atomic.Bool
		go func() {
			tracker.Wait()
			waited.Store(true)
		}()
		synctest.Wait()
		tracker.Done(1)
		synctest.Wait()
		if waited.Load() {
			t.Error("waited for one of two requests")
		}
		tracker.Done(1)
		synctest.Wait()
		if !waited.Load() {
			t.Error("still waiting after the last result")
		}
	})
}

func TestDrain(t *testing.T) {
	for name, test := range map[string]struct {
		requests int
		answer   time.Duration // from one result to the next
		left     int64
		took     time.Duration
	}{
		"nothing in flight": {0, 0, 0, 0},
		"all in time":       {3, time.Second, 0, 3 * time.Second},
		"some too late":     {10, time.Second, 6, 4500 * time.Millisecond},
		"none in time":      {2, time.Minute, 2, 4500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tracker, abort := inflight.New(), make(chan struct{})
				for range test.requests {
					tracker.Begin()
				}
				tracker.Close()
				go func() {
					for range test.requests {
						select {
						case <-time.After(test.answer):
						case <-abort:
						}
						tracker.Done(1)
					}
				}()
				began := time.Now()
				left := tracker.Drain(4500*time.Millisecond, func() { close(abort) })
				if left != test.left || time.Since(began) != test.took {
					t.Errorf("left %d after %v, want %d after %v", left, time.Since(began), test.left, test.took)
				}
				if tracker.Depth() != 0 {
					t.Errorf("drained with %d in flight", tracker.Depth())
				}
				select {
				case <-abort:
				default:
					t.Error("abort was not called")
				}
			})
		})
	}
}

// Whatever Close races with: a request that is accepted has its result before Wait
// returns.
func TestCloseWaitsForEveryAcceptedRequest(t *testing.T) {
	for began := time.Now(); time.Since(began) < 300*time.Millisecond; {
		tracker := inflight.New()
		var accepted, answered atomic.Int64
		var loop sync.WaitGroup
		loop.Go(func() {
			for tracker.Begin() {
				accepted.Add(1)
				answered.Add(1)
				tracker.Done(1)
			}
			tracker.Done(1)
		})
		for accepted.Load() < 20 { // spins until the loop is at it
		}
		tracker.Close()
		tracker.Wait()
		before := answered.Load()
		loop.Wait()
		if all := accepted.Load(); before != all {
			t.Fatalf("%d requests accepted, %d answered when Wait returned", all, before)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	tracker := inflight.New()
	if n := testing.AllocsPerRun(100, func() {
		tracker.Begin()
		tracker.Done(1)
	}); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	tracker := inflight.New()
	b.RunParallel(func(b *testing.PB) {
		for b.Next() {
			tracker.Begin()
			tracker.Done(1)
		}
	})
}

package s3

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/pack"
)

// flight counts the attempts in flight: those that are not cancelled.
type flight struct {
	mu          sync.Mutex
	attempts    []context.Context
	begun, most int
}

func (f *flight) begin(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.attempts = slices.DeleteFunc(f.attempts, func(c context.Context) bool { return c.Err() != nil })
	f.attempts = append(f.attempts, ctx)
	f.begun++
	f.most = max(f.most, len(f.attempts))
}

// tryInBubble runs try with a store that send stands for. It returns when attempts began,
// and how many were in flight at most.
func tryInBubble(
	t *testing.T, o Options, timeout time.Duration, send func(ctx context.Context, attempt int) error,
) (began []time.Duration, most int, ambiguous bool, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.defaults()
		s := &Store{options: o}
		s.client = &client{transport: &http.Transport{}}
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		var f flight
		start := time.Now()
		_, ambiguous, err = s.try(ctx, exchange{
			chunks: [][]byte{[]byte("body")}, bytes: 4,
			send: func(ctx context.Context, body *payload) (string, error) {
				f.begin(ctx)
				began = append(began, time.Since(start)) // one at a time, in a bubble
				n := len(began)
				_, _ = body.Read(make([]byte, 100))
				return "", send(ctx, n)
			},
		})
		cancel()
		synctest.Wait()
		most = f.most
	})
	return began, most, ambiguous, err
}

// silence stands still until it is given up.
func silence(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestSilentAttempts checks that each attempt has twice the time of the one before, and
// that two are in flight at most.
func TestSilentAttempts(t *testing.T) {
	var told []string
	o := Options{Retried: func(cause string, _ error) { told = append(told, cause) }}
	began, most, ambiguous, err := tryInBubble(t, o, 20*time.Second, func(ctx context.Context, _ int) error {
		return silence(ctx)
	})
	want := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second}
	if !slices.Equal(began, want) || most != 2 {
		t.Errorf("attempts at %v, %d in flight", began, most)
	}
	if !ambiguous || pipeline.KindOf(fail("put", err)) != pipeline.KindTimeout {
		t.Errorf("ambiguous %v, %v", ambiguous, err)
	}
	if !slices.Equal(told, []string{RetrySilent, RetrySilent, RetrySilent, RetrySilent}) {
		t.Errorf("told %v", told)
	}
}

// TestSecondAttempt checks that the answer to a second attempt ends the first, and that
// the first one may still answer.
func TestSecondAttempt(t *testing.T) {
	for _, answers := range []int{1, 2} {
		began, most, ambiguous, err := tryInBubble(t, Options{}, time.Minute, func(ctx context.Context, n int) error {
			if n != answers {
				return silence(ctx)
			}
			time.Sleep(1500 * time.Millisecond)
			return nil
		})
		if len(began) != 2 || most != 2 || !ambiguous || err != nil {
			t.Errorf("attempts at %v, %d in flight, ambiguous %v, %v", began, most, ambiguous, err)
		}
	}
}

// TestRefusalsBesideSilence checks that attempts which are refused beside a silent one cost
// the later ones no time, and are not told as silence.
func TestRefusalsBesideSilence(t *testing.T) {
	told := map[string]int{}
	o := Options{Retried: func(cause string, _ error) { told[cause]++ }}
	began, most, _, err := tryInBubble(t, o, time.Minute, func(ctx context.Context, n int) error {
		switch n {
		case 1, 8:
			return silence(ctx)
		case 9:
			return nil
		}
		return errors.New("connection refused")
	})
	if err != nil || len(began) != 9 || most != 2 {
		t.Fatalf("attempts at %v, %d in flight, %v", began, most, err)
	}
	if waited := began[8] - began[7]; waited > 2*time.Second {
		t.Errorf("the last attempt came %v after the one before", waited)
	}
	if told[RetrySilent] != 2 || told[RetryBroken] != 6 {
		t.Errorf("told %v", told)
	}
}

// TestLongestIdle checks that a message has time for another attempt however long requests
// of its size usually take, and when that is only guessed from small ones.
func TestLongestIdle(t *testing.T) {
	const timeout = time.Minute
	s := &Store{options: Options{Timeout: timeout}}
	s.pace.observe(100, 200*time.Millisecond)
	for range 10 {
		s.pace.observe(1<<20, 40*time.Second)
	}
	for _, size := range []int64{100, 1 << 20, 5 << 20} {
		if got := s.longestIdle(size); got < leastPatience || got > timeout/4 {
			t.Errorf("%d bytes: %v", size, got)
		}
	}
}

// TestBackOff checks that a store that refuses is asked until the deadline, ever less
// often, and that the failure is the store's.
func TestBackOff(t *testing.T) {
	refusal := errors.New("connection refused")
	began, most, ambiguous, err := tryInBubble(t, Options{}, time.Minute, func(context.Context, int) error {
		return refusal
	})
	if len(began) < 60 || len(began) > 140 || most != 1 || !ambiguous || !errors.Is(err, refusal) {
		t.Errorf("%d attempts, %d in flight, ambiguous %v, %v", len(began), most, ambiguous, err)
	}
	if at := began[len(began)-1]; at < 58*time.Second {
		t.Errorf("the last attempt came %v after the first", at)
	}
	if fifth := began[4]; fifth > 750*time.Millisecond {
		t.Errorf("the fifth attempt came after %v", fifth)
	}
}

// TestSlowUploadIsNotSilent checks that an attempt whose body is still read has its time.
func TestSlowUploadIsNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{}
		o.defaults()
		s := &Store{options: o}
		s.client = &client{transport: &http.Transport{}}
		attempts := 0
		_, _, err := s.try(t.Context(), exchange{
			chunks: [][]byte{make([]byte, 100)}, bytes: 100,
			send: func(_ context.Context, body *payload) (string, error) {
				attempts++
				for range 100 {
					time.Sleep(900 * time.Millisecond)
					if _, err := body.Read(make([]byte, 1)); err != nil {
						return "", err
					}
				}
				return "", nil
			},
		})
		if err != nil || attempts != 1 {
			t.Errorf("%d attempts, %v", attempts, err)
		}
	})
}

// TestLanesShareSpares checks that silent lanes have at most twice as many attempts in
// flight as there are lanes, and that all spare requests come back.
func TestLanesShareSpares(t *testing.T) {
	const lanes = 3
	synctest.Test(t, func(t *testing.T) {
		o := Options{}
		o.defaults()
		s := &Store{options: o}
		s.client = &client{transport: &http.Transport{}}
		b := pack.Start(pack.Options{Lanes: lanes}, func(int) pack.Writer { return packWriter{} })
		if !b.TakeSpare() { // one lane has no spare request
			t.Fatal("no spare request at the start")
		}
		var f flight
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var all sync.WaitGroup
		for range lanes {
			all.Go(func() {
				_, _, err := s.try(ctx, exchange{lanes: b, send: func(ctx context.Context, _ *payload) (string, error) {
					f.begin(ctx)
					return "", silence(ctx)
				}})
				if err == nil {
					t.Error("silence was an answer")
				}
			})
		}
		all.Wait()
		if f.most != 2*lanes-1 || f.begun < 4*lanes {
			t.Errorf("%d attempts, %d in flight at most", f.begun, f.most)
		}
		b.ReturnSpare()
		for range lanes {
			if !b.TakeSpare() {
				t.Error("a spare request did not come back")
			}
		}
		b.Close()
	})
}

// BenchmarkTry measures what a request costs beside its one attempt.
func BenchmarkTry(b *testing.B) {
	o := Options{}
	o.defaults()
	s := &Store{options: o}
	s.client = &client{transport: &http.Transport{}}
	chunks := [][]byte{make([]byte, 10<<10)}
	buffer := make([]byte, 16<<10)
	b.ReportAllocs()
	for b.Loop() {
		_, _, err := s.try(b.Context(), exchange{
			chunks: chunks, bytes: 10 << 10,
			send: func(_ context.Context, body *payload) (string, error) {
				_, err := body.Read(buffer)
				return "", err
			},
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

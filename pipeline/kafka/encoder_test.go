package kafka

import (
	"testing"
	"testing/synctest"
	"time"

	"sluice/pipeline"
)

// TestCollector checks that a message that comes alone, or together with others, goes at
// once. One that follows another waits for more, up to the linger and to maxCollected.
func TestCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const linger = 5 * time.Millisecond
		queue := make(chan *pipeline.Message, 2*maxCollected)
		g := newCollector(queue, linger)
		put := func(n int) {
			for range n {
				queue <- &pipeline.Message{}
			}
		}
		take := func(what string, want int, wait time.Duration) {
			t.Helper()
			began := time.Now()
			if n := len(g.next()); n != want || time.Since(began) != wait {
				t.Errorf("%s: %d after %s, want %d after %s", what, n, time.Since(began), want, wait)
			}
		}
		time.Sleep(time.Second)
		put(1)
		take("the first", 1, 0)
		put(1)
		take("one just after it", 1, linger)
		time.Sleep(linger)
		put(3)
		take("three together", 3, 0)
		go func() {
			time.Sleep(linger / 2)
			put(1)
			time.Sleep(linger)
			put(1)
		}()
		put(1)
		take("one and what came meanwhile", 2, linger)
		take("what came too late for it", 1, linger/2+linger)
		put(maxCollected + 1)
		take("many", maxCollected, 0)
		take("the last", 1, linger)
		close(queue)
		if got := g.next(); got != nil {
			t.Errorf("%d after the end", len(got))
		}
	})
}

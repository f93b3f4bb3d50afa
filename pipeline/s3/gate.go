package s3

import (
	"context"
	"sync"
	"time"
)

// limiterGate passes the tasks of large messages on to the workers in order, as many at
// a time as its backgroundLimiter allows.
type limiterGate struct {
	mu       sync.Mutex
	changed  sync.Cond // a task has ended, or the limit may have risen
	limiter  *backgroundLimiter
	inFlight int
	waiting  int // 1 while acquire waits, else 0
}

// tickInterval is the time between ticks of the limiter.
const tickInterval = 200 * time.Millisecond

func newLimiterGate(max int, timeout time.Duration) *limiterGate {
	g := &limiterGate{limiter: newBackgroundLimiter(max, timeout)}
	g.changed.L = &g.mu
	return g
}

// acquire waits until the limiter allows one more task. since is when the task was put.
func (g *limiterGate) acquire(since time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = 1
	for g.inFlight >= g.limiter.allowed(time.Now()) {
		g.changed.Wait()
	}
	g.waiting = 0
	now := time.Now()
	g.limiter.largeStarted(now, now.Sub(since))
	g.inFlight++
}

// release ends a task.
func (g *limiterGate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	g.changed.Signal()
}

// observe records the start of a pack request with this many messages. The caller must
// call done with the bytes sent once the request has succeeded, and not otherwise.
func (g *limiterGate) observe(messages int) (done func(bytes int64)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	started, before := time.Now(), g.inFlight
	g.limiter.smallStarted(started, messages)
	return func(bytes int64) {
		g.mu.Lock()
		defer g.mu.Unlock()
		now := time.Now()
		g.limiter.smallDone(now, smallRequest{now.Sub(started), bytes, before, g.inFlight})
	}
}

// pause sleeps briefly while small messages are frequent, and leaves the CPU to them. On
// few cores the response to a pack request would otherwise wait until a whole part is
// hashed (docs/measurements.md, Small messages beside large ones).
func (g *limiterGate) pause() {
	g.mu.Lock()
	contended := g.limiter.contended(time.Now())
	g.mu.Unlock()
	if contended {
		time.Sleep(200 * time.Microsecond)
	}
}

// allowed returns the number of tasks that may be in flight.
func (g *limiterGate) allowed() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limiter.allowed(time.Now())
}

// run ticks the limiter until ctx ends. queue holds the tasks that wait for acquire.
func (g *limiterGate) run(ctx context.Context, queue <-chan task) {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			g.tick(now, len(queue))
		case <-ctx.Done():
			return
		}
	}
}

func (g *limiterGate) tick(now time.Time, queued int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limiter.tick(now, queued+g.waiting)
	g.changed.Broadcast()
}

package s3

import (
	"context"
	"sync"
	"time"
)

// turnstile lets the tasks of large messages through to the workers in their order,
// so many at the same time as courtesy allows.
type turnstile struct {
	mu      sync.Mutex
	changed sync.Cond // a task is done, or more may be under way
	law     *courtesy
	busy    int // tasks under way
	waiting int // 1 while a task waits here
}

// beat is how often what follows from time alone is looked at.
const beat = 200 * time.Millisecond

func newTurnstile(most int, timeout time.Duration) *turnstile {
	t := &turnstile{law: newCourtesy(most, timeout)}
	t.changed.L = &t.mu
	return t
}

// enter waits until one more task may be under way: one that was put at since.
func (t *turnstile) enter(since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = 1
	for t.busy >= t.law.limit(time.Now()) {
		t.changed.Wait()
	}
	t.waiting = 0
	t.busy++
	now := time.Now()
	t.law.largeBegun(now, now.Sub(since))
}

// leave says that a task is done.
func (t *turnstile) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy--
	t.changed.Signal()
}

// small watches a request of the lanes with so many messages: what it gives is to be
// called when the request went well.
func (t *turnstile) small(messages int) (done func(octets int64)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	begun, before := time.Now(), t.busy
	t.law.smallBegun(begun, messages)
	return func(octets int64) {
		t.mu.Lock()
		defer t.mu.Unlock()
		now := time.Now()
		t.law.smallDone(now, smallRequest{now.Sub(begun), octets, before, t.busy})
	}
}

// rest leaves the processor to small messages while they are frequent. Hashing a
// part takes 4 ms, and on two processors, of which the event loop has one, whoever
// waits for an answer of the store to the lanes would wait for that.
func (t *turnstile) rest() {
	t.mu.Lock()
	yields := t.law.yields(time.Now())
	t.mu.Unlock()
	if yields {
		time.Sleep(200 * time.Microsecond)
	}
}

// limit gives the number of tasks that may be under way.
func (t *turnstile) limit() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.law.limit(time.Now())
}

// run looks at the time until ctx ends. queue is what waits to enter.
func (t *turnstile) run(ctx context.Context, queue <-chan task) {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			t.tick(now, len(queue))
		case <-ctx.Done():
			return
		}
	}
}

func (t *turnstile) tick(now time.Time, queued int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.law.tick(now, queued+t.waiting)
	t.changed.Broadcast()
}

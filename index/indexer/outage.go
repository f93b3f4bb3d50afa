package indexer

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// outage is a dependency that cannot be used, or could be used when it was last tried, for
// each of its uses. It logs when that changes.
type outage struct {
	dependency string
	x          *Indexer

	mu       sync.Mutex
	failing  []use     // uses that failed when last tried
	since    time.Time // zero while it can be used
	attempts int
}

// use is what a dependency is used for.
type use int

const (
	reading use = iota
	writing
)

func (o *outage) begin(what use, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.attempts++
	if !slices.Contains(o.failing, what) {
		o.failing = append(o.failing, what)
	}
	if !o.since.IsZero() {
		return
	}
	o.since = o.x.options.Now()
	o.x.options.Observer.Outage(o.dependency, true)
	o.x.options.Logger.Error("the index waits: what it depends on cannot be used",
		"dependency", o.dependency, "error", err)
}

func (o *outage) end(what use) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failing = slices.DeleteFunc(o.failing, func(u use) bool { return u == what })
	if o.since.IsZero() || len(o.failing) > 0 {
		return
	}
	o.x.options.Observer.Outage(o.dependency, false)
	o.x.options.Logger.Info("the index goes on: what it depends on can be used again",
		"dependency", o.dependency, "after", o.x.options.Now().Sub(o.since).Round(time.Millisecond),
		"failed_attempts", o.attempts)
	o.since, o.attempts = time.Time{}, 0
}

// insist calls do, which writes, until it succeeds, and reports whether it did before ctx ended.
func (o *outage) insist(ctx context.Context, do func() error) bool {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		err := do()
		if err == nil {
			o.end(writing)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		o.begin(writing, err)
		sleep(ctx, backoff(attempt))
	}
	return false
}

const maxBackoff = 5 * time.Second

// backoff returns the time to wait after the n-th failed attempt, from 0.
func backoff(n int) time.Duration {
	wait := min(maxBackoff, 200*time.Millisecond<<min(n, 10))
	return wait/2 + rand.N(wait/2+1) // a fleet must not retry in step
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// poisonLog logs records that cannot be indexed, each result at most poisonLines times in
// poisonEvery.
type poisonLog struct {
	logger *slog.Logger
	now    func() time.Time
	lines  map[string]*poisonLines
}

type poisonLines struct {
	began   time.Time
	logged  int
	omitted int
}

const (
	poisonEvery = time.Minute
	maxPoison   = 10
)

func (l *poisonLog) add(i *item) {
	lines := l.lines[i.result]
	if now := l.now(); lines == nil || now.Sub(lines.began) >= poisonEvery {
		omitted := 0
		if lines != nil {
			omitted = lines.omitted
		}
		lines = &poisonLines{began: now}
		l.lines[i.result] = lines
		if omitted > 0 {
			l.logger.Error("more events could not be indexed", "result", i.result, "events", omitted)
		}
	}
	if lines.logged == maxPoison {
		lines.omitted++
		return
	}
	lines.logged++
	l.logger.Error("an event cannot be indexed: it is kept among the dead letters",
		"result", i.result, "reason", i.reason, "topic", i.record.Topic,
		"partition", i.record.Partition, "offset", i.record.Offset)
}

package stress

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"sluice/loadtest/process"
)

// IdleSessions are many idle sessions beside some active ones.
type IdleSessions struct {
	Idle, Active int
	Span         time.Duration // of one measurement
	Delay        float64       // what the p99 of replies may be of that without the idle
	Rest         time.Duration // that the idle ones may have until their memory is told
	Heap         int64         // bytes that the heap may grow for however few sessions
	TLS          bool
}

// Name of the scenario.
func (s IdleSessions) Name() string {
	over := ""
	if s.TLS {
		over = " over TLS"
	}
	return fmt.Sprintf("%d idle and %d active sessions%s", s.Idle, s.Active, over)
}

const (
	// idleMemory and idleTLSMemory are promised for each idle session, in KiB.
	idleMemory    = 1.0
	idleTLSMemory = 10.0
	// activeEvery is the pace of an active session: below what the machine can do,
	// so that its answers tell of delay and not of its own queue.
	activeEvery = 50 * time.Millisecond
)

// Run measures the memory of idle sessions, and the active ones' replies with and
// without them.
func (s IdleSessions) Run(ctx context.Context, env *Env) (*Row, error) {
	gateway, err := env.prepare("idle-sessions", process.Discard,
		"limits: {junk_commands: 32767, connections: 17000}\npressure: {lag: {groups: []}}\n")
	if err != nil {
		return nil, err
	}
	promised := idleMemory
	if s.TLS {
		promised = idleTLSMemory
		if err := offerTLS(ctx, gateway); err != nil {
			return nil, err
		}
	}
	inst, err := start(ctx, gateway)
	if err != nil {
		return nil, err
	}
	defer inst.close()
	row := &Row{Scenario: s.Name()}
	first, err := s.active(ctx, inst) // the first use of everything is not an idle session's
	if err != nil {
		return nil, err
	}
	before, err := inst.settle(ctx)
	if err != nil {
		return nil, err
	}
	var idle crowd
	defer idle.leave()
	err = idle.gather(ctx, s.Idle, func(int) (*peer, error) {
		p, err := inst.greeted(ctx)
		if err == nil {
			p.in = nil
		}
		return p, err
	})
	if err != nil {
		return nil, err
	}
	rested := time.Now()
	after, err := inst.await(ctx, s.Rest, func(now sample) bool { return s.each(before, now) <= promised })
	rest := time.Since(rested)
	if err != nil {
		return nil, err
	}
	beside, err := s.active(ctx, inst)
	if err != nil {
		return nil, err
	}
	idle.leave()
	if _, err := inst.settle(ctx); err != nil {
		return nil, err
	}
	alone, err := s.active(ctx, inst)
	if err != nil {
		return nil, err
	}
	row.atMost("KiB resident for each idle session", s.each(before, after), promised+float64(s.Heap)/float64(s.Idle)/kib)
	row.atMost("p99 of replies beside them, of that without them", 2*p99(beside)/(p99(first)+p99(alone)), s.Delay)
	row.atMost("more goroutines with them", after.metrics[metricGoroutines]-before.metrics[metricGoroutines], 2)
	row.note("p99 before %.2g ms, beside %.2g ms, after %.2g ms; %v after they were opened the live heap had grown by %.2f KiB each",
		1e3*p99(first), 1e3*p99(beside), 1e3*p99(alone), rest.Round(time.Second), s.live(before, after))
	return row, nil
}

// each is the resident memory of one idle session in KiB.
func (s IdleSessions) each(before, after sample) float64 {
	return float64(after.resident-before.resident) / float64(s.Idle) / kib
}

// live is what of it the heap holds, garbage included that was not collected yet.
func (s IdleSessions) live(before, after sample) float64 {
	const name = "go_memstats_heap_alloc_bytes"
	return (after.metrics[name] - before.metrics[name]) / float64(s.Idle) / kib
}

// answer is when a reply was asked for and how long it took.
type answer struct {
	at   time.Time
	took time.Duration
}

// p99 is that of the median slice of a measurement, in seconds: on a machine that
// does other things as well, one slow second would be the p99 of all.
func p99(all []answer) float64 {
	const slice = 500 * time.Millisecond
	slices.SortFunc(all, func(a, b answer) int { return a.at.Compare(b.at) })
	var each []float64
	for len(all) > 0 {
		end := all[0].at.Add(slice)
		n := slices.IndexFunc(all, func(a answer) bool { return a.at.After(end) })
		if n < 0 {
			n = len(all)
		}
		var times []float64
		for _, a := range all[:n] {
			times = append(times, a.took.Seconds())
		}
		each, all = append(each, quantile(times, 0.99)), all[n:]
	}
	return quantile(each, 0.5)
}

// active lets the active sessions work and returns the time of each of their replies.
func (s IdleSessions) active(ctx context.Context, inst *instance) ([]answer, error) {
	var all sync.WaitGroup
	var mu sync.Mutex
	var replies []answer
	var failed error
	end := time.Now().Add(s.Span)
	for range s.Active {
		all.Go(func() {
			own, err := s.session(ctx, inst, end)
			mu.Lock()
			defer mu.Unlock()
			replies = append(replies, own...)
			if err != nil {
				failed = err
			}
		})
	}
	all.Wait()
	if failed != nil || len(replies) == 0 {
		return nil, fmt.Errorf("%d replies to active sessions: %w", len(replies), failed)
	}
	return replies, nil
}

func (s IdleSessions) session(ctx context.Context, inst *instance, end time.Time) ([]answer, error) {
	p, err := inst.greeted(ctx)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	commands := []string{"NOOP\r\n", "MAIL FROM:<sender@example.org>\r\n", "RCPT TO:<recipient@example.net>\r\n", "RSET\r\n"}
	// Sessions that began together must not ask together.
	if err := inst.pass(ctx, time.Duration(rand.Int64N(int64(activeEvery)))); err != nil {
		return nil, err
	}
	pace := time.NewTicker(activeEvery)
	defer pace.Stop()
	var replies []answer
	for i := 0; time.Now().Before(end) && ctx.Err() == nil; i++ {
		began := time.Now()
		if err := p.ask(commands[i%len(commands)], "250"); err != nil {
			return nil, err
		}
		replies = append(replies, answer{began, time.Since(began)})
		<-pace.C
	}
	return replies, p.ask("QUIT\r\n", "221")
}

// quantile of numbers, which it sorts.
func quantile(numbers []float64, part float64) float64 {
	slices.Sort(numbers)
	return numbers[int(part*float64(len(numbers)-1))]
}

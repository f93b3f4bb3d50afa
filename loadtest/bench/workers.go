package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// workers does the same thing again and again, some at the same time.
type workers struct{ messages, atOnce int }

// work ends at the first error.
func (c workers) work(ctx context.Context, do func(context.Context) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var begun atomic.Int64
	var all sync.WaitGroup
	for range c.atOnce {
		all.Go(func() {
			for begun.Add(1) <= int64(c.messages) && ctx.Err() == nil {
				if err := do(ctx); err != nil {
					fail(err) // the first one counts
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// measure works and reads CPU time before and after.
func (c workers) measure(ctx context.Context, cpu func() (time.Duration, error), do func(context.Context) error) (Sample, error) {
	before, err := cpu()
	if err != nil {
		return Sample{}, err
	}
	began := time.Now()
	if err := c.work(ctx, do); err != nil {
		return Sample{}, err
	}
	took := time.Since(began)
	after, err := cpu()
	if err != nil {
		return Sample{}, err
	}
	return newSample(c.messages, took, after-before), nil
}

// ownCPU is the CPU time, user and system, of this process.
func ownCPU() (time.Duration, error) {
	var at unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &at)
	return time.Duration(at.Nano()), err
}

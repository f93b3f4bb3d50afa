package server

import (
	"context"
	"os"
	"runtime/debug"
	"time"

	"sluice/gateway/config"
)

// What the heap needs besides message bodies, in octets. docs/measurements.md
// has the figures.
const (
	heapBase       = 32 << 20 // clients of the store and of the log, their buffers and queues
	heapForSession = 4 << 10  // a session, gnet's part of it, an envelope under way
	// heapStep is for how many sessions at a time the limit is moved, because that
	// stops the process for a moment.
	heapStep = 2048
	// heapEvery is how often it is looked at.
	heapEvery = time.Second
)

// heapLimit is what the Go runtime is told to keep to. With the default alone
// (GOGC=100) the heap may grow to twice of what lives, and bodies are most of it;
// with a limit the collector works only when that much is really in use.
func heapLimit(c *config.Config, sessions int64) int64 {
	need := c.BodyMemory() + c.KindMemory() + heapBase + (sessions/heapStep+1)*heapStep*heapForSession
	return min(need, c.Machine().Memory/10*9)
}

// limitHeap keeps the runtime's limit at what the open sessions need, until ctx
// ends. GOMEMLIMIT overrides it.
func limitHeap(ctx context.Context, c *config.Config, sessions func() int64) {
	if os.Getenv("GOMEMLIMIT") != "" || c.Machine().Memory == 0 {
		return
	}
	again := time.NewTicker(heapEvery)
	defer again.Stop()
	for told := int64(0); ; {
		if limit := heapLimit(c, sessions()); limit != told {
			debug.SetMemoryLimit(limit)
			told = limit
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

package server

import (
	"context"
	"os"
	"runtime/debug"
	"time"

	"sluice/gateway/config"
)

// Memory that the heap needs in addition to message bodies, in bytes.
// docs/memory.md has the model.
const (
	heapBase       = 32 << 20 // clients of the store and of the log, their buffers and queues
	heapForSession = 8 << 10  // a session, gnet's part of it, an open envelope, a part of a line
	// heapStep is the number of sessions by which the limit is moved at a time, because
	// that stops the process for a moment. It is never for more than may be open.
	heapStep = 2048
	// heapEvery is the interval at which the limit is updated.
	heapEvery = time.Second
)

// heapLimit returns the memory limit for the Go runtime. With the default alone
// (GOGC=100) the heap may grow to twice the live heap, most of which is bodies. With a
// limit, the collector works harder only when that much is really in use.
func heapLimit(c *config.Config, sessions int64) int64 {
	sessions = min((sessions/heapStep+1)*heapStep, int64(c.Limits.Connections))
	need := c.BodyMemory() + c.KindMemory() + heapBase + sessions*heapForSession + c.TLSMemory(sessions) + c.VerifyMemory(sessions) + c.IndexMemory()
	return min(need, c.Machine().Memory/10*9)
}

// limitHeap keeps the runtime's limit at what the open sessions need, until ctx ends.
// GOMEMLIMIT overrides it.
func limitHeap(ctx context.Context, c *config.Config, sessions func() int64) {
	if os.Getenv("GOMEMLIMIT") != "" || c.Machine().Memory == 0 {
		return
	}
	again := time.NewTicker(heapEvery)
	defer again.Stop()
	for current := int64(0); ; {
		if limit := heapLimit(c, sessions()); limit != current {
			debug.SetMemoryLimit(limit)
			current = limit
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

package main

import (
	"os"
	"runtime/debug"
)

// What the heap needs besides message bodies, in octets. docs/memory.md has the
// measurements.
const (
	heapBase          = 32 << 20 // clients of the store and of the log, their buffers and queues
	heapEmbedded      = 96 << 20 // the embedded log keeps an index of its batches
	heapForConnection = 4 << 10  // a session, gnet's part of it, an envelope under way
)

// heapLimit is what the Go runtime is told to keep to. With the default alone
// (GOGC=100) the heap may grow to twice of what lives, and bodies are most of it;
// with a limit the collector works only when that much is really in use.
func (c *Config) heapLimit() int64 {
	need := c.BodyMemory() + heapBase + int64(c.Limits.Connections)*heapForConnection
	if c.Events.Kind == kindEmbedded {
		need += heapEmbedded
	}
	return min(need, c.machine.memory/10*9)
}

// limitHeap tells the runtime, unless GOMEMLIMIT has done so.
func limitHeap(c *Config) {
	if os.Getenv("GOMEMLIMIT") == "" && c.machine.memory > 0 {
		debug.SetMemoryLimit(c.heapLimit())
	}
}

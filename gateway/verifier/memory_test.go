package verifier

import (
	"context"
	"runtime"
	"testing"

	"sluice/pipeline"
)

// TestMemoryOfWaiting checks what a message takes whose look-up waits for its turn, which
// docs/memory.md counts for each connection.
func TestMemoryOfWaiting(t *testing.T) {
	const messages, most = 5000, 12 << 10
	var checks []*fake
	for range messages {
		check := newFake()
		check.sender = func(ctx context.Context) { <-ctx.Done() }
		checks = append(checks, check)
	}
	v, _ := newVerifier(t, checks...)
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before := used()
	states := make([]any, messages)
	for i := range states {
		states[i] = v.Begin(&pipeline.Message{})
	}
	each := (used() - before) / messages
	t.Logf("%d bytes each", each)
	if each > most {
		t.Errorf("%d bytes for a message that waits, want at most %d", each, most)
	}
	runtime.KeepAlive(states)
}

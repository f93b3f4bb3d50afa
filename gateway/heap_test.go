package main

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestHeapLimit(t *testing.T) {
	for name, test := range map[string]struct {
		memory   Size
		sessions int64
		change   func(*Config)
		want     int64
	}{
		"the parts add up": {64 * GiB, 0, func(c *Config) {
			c.Memory.Bodies, c.Events.Kind = Share{Octets: 256 * MiB}, kindKafka
		}, 256<<20 + heapBase + 8<<20},
		"sessions count in steps": {64 * GiB, 3 * heapStep, func(c *Config) {
			c.Memory.Bodies, c.Events.Kind = Share{Octets: 256 * MiB}, kindKafka
		}, 256<<20 + heapBase + 32<<20},
		"with the embedded log": {64 * GiB, heapStep - 1, func(c *Config) {
			c.Memory.Bodies = Share{Octets: 256 * MiB}
		}, 256<<20 + heapBase + heapEmbedded + 8<<20},
		"never all there is": {200 * MiB, 0, func(c *Config) { c.Memory.Bodies = Share{Octets: 150 * MiB} }, int64(200*MiB) / 10 * 9},
	} {
		t.Run(name, func(t *testing.T) {
			c := defaultConfigOn(testMachine)
			c.machine.memory = int64(test.memory)
			test.change(&c)
			if got := c.heapLimit(test.sessions); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// The runtime's limit follows the sessions up and down, and GOMEMLIMIT is left alone.
func TestLimitHeap(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	c := defaultConfigOn(testMachine)
	t.Setenv("GOMEMLIMIT", "7GiB")
	limitHeap(t.Context(), &c, func() int64 { return 0 })
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("GOMEMLIMIT was overridden: %d", got)
	}
	t.Setenv("GOMEMLIMIT", "")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var sessions atomic.Int64
		go limitHeap(ctx, &c, sessions.Load)
		for _, n := range []int64{0, 1, heapStep, 5 * heapStep, 7} {
			sessions.Store(n)
			time.Sleep(heapEvery)
			synctest.Wait()
			if got := debug.SetMemoryLimit(-1); got != c.heapLimit(n) {
				t.Errorf("%d sessions: limit %d, want %d", n, got, c.heapLimit(n))
			}
		}
		cancel()
	})
}

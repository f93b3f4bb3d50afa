package main

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestHeapLimit(t *testing.T) {
	for name, test := range map[string]struct {
		memory Size
		change func(*Config)
		want   int64
	}{
		"the parts add up": {64 * GiB, func(c *Config) {
			c.Memory.Bodies, c.Events.Kind, c.Limits.Connections = Share{Octets: 256 * MiB}, kindKafka, 1024
		}, 256<<20 + heapBase + 4<<20},
		"with the embedded log": {64 * GiB, func(c *Config) {
			c.Memory.Bodies, c.Limits.Connections = Share{Octets: 256 * MiB}, 1024
		}, 256<<20 + heapBase + heapEmbedded + 4<<20},
		"never all there is": {200 * MiB, func(c *Config) { c.Memory.Bodies = Share{Octets: 150 * MiB} }, int64(200*MiB) / 10 * 9},
	} {
		t.Run(name, func(t *testing.T) {
			c := defaultConfigOn(testMachine)
			c.machine.memory = int64(test.memory)
			test.change(&c)
			if got := c.heapLimit(); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestLimitHeap(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	c := defaultConfigOn(testMachine)
	t.Setenv("GOMEMLIMIT", "7GiB")
	limitHeap(&c)
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("GOMEMLIMIT was overridden: %d", got)
	}
	t.Setenv("GOMEMLIMIT", "")
	limitHeap(&c)
	if got := debug.SetMemoryLimit(-1); got != c.heapLimit() || got == math.MaxInt64 {
		t.Errorf("limit %d, want %d", got, c.heapLimit())
	}
}

package server

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/config"
	"sluice/gateway/config/configtest"
)

func TestHeapLimit(t *testing.T) {
	for name, test := range map[string]struct {
		memory   config.Size
		sessions int64
		change   func(*config.Config)
		want     int64
	}{
		"the parts add up": {64 * config.GiB, 0, func(c *config.Config) {
			c.Memory.Bodies, c.Events.Kind = config.Share{Octets: 256 * config.MiB}, config.KindKafka
		}, 256<<20 + heapBase + 16<<20},
		"sessions count in steps": {64 * config.GiB, 3 * heapStep, func(c *config.Config) {
			c.Memory.Bodies, c.Events.Kind = config.Share{Octets: 256 * config.MiB}, config.KindKafka
		}, 256<<20 + heapBase + 64<<20},
		"with the embedded log and its index": {64 * config.GiB, heapStep - 1, func(c *config.Config) {
			c.Memory.Bodies = config.Share{Octets: 256 * config.MiB}
		}, 256<<20 + heapBase + 96<<20 + 16<<20 + 128<<20},
		"with TLS": {64 * config.GiB, heapStep - 1, func(c *config.Config) {
			c.Memory.Bodies, c.Events.Kind = config.Share{Octets: 256 * config.MiB}, config.KindKafka
			c.Listeners[0].TLS = config.TLSStart
		}, 256<<20 + heapBase + 16<<20 + heapStep*16<<10 + 1024*36<<10},
		"with TLS for few": {64 * config.GiB, 10, func(c *config.Config) {
			c.Memory.Bodies, c.Events.Kind = config.Share{Octets: 256 * config.MiB}, config.KindKafka
			c.Listeners[0].TLS, c.Limits.Connections = config.TLSStart, 200
		}, 256<<20 + heapBase + 200*(8+16)<<10 + 1024*36<<10},
		"with verification": {64 * config.GiB, heapStep - 1, func(c *config.Config) {
			c.Memory.Bodies, c.Events.Kind = config.Share{Octets: 256 * config.MiB}, config.KindKafka
			c.Verify.Enabled = true
		}, 256<<20 + heapBase + 16<<20 + heapStep*8<<10 + 32<<20 + 64<<20 + 2000*16<<10},
		"never all there is": {200 * config.MiB, 0, func(c *config.Config) { c.Memory.Bodies = config.Share{Octets: 150 * config.MiB} }, int64(200*config.MiB) / 10 * 9},
	} {
		t.Run(name, func(t *testing.T) {
			c := config.DefaultOn(config.Machine{Hostname: "mx.example.org", Files: 20000, Memory: int64(test.memory)})
			test.change(&c)
			if got := heapLimit(&c, test.sessions); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// TestLimitHeap checks that the runtime's limit follows the number of sessions up and
// down, and that GOMEMLIMIT is left alone.
func TestLimitHeap(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	c := config.DefaultOn(configtest.Machine)
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
			if got := debug.SetMemoryLimit(-1); got != heapLimit(&c, n) {
				t.Errorf("%d sessions: limit %d, want %d", n, got, heapLimit(&c, n))
			}
		}
		cancel()
	})
}

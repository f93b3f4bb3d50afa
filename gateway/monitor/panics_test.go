package monitor

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"sluice/gateway/pressure"
	"sluice/internal/testkit"
	"sluice/pipeline"
)

// brittle is a source of all that a Monitor reads. It panics while broken.
type brittle struct {
	broken       atomic.Bool
	local, reads atomic.Int32
	probes       atomic.Int32
}

func (b *brittle) count(n *atomic.Int32) {
	n.Add(1)
	if b.broken.Load() {
		panic("broken")
	}
}

func (b *brittle) Read(context.Context) []pipeline.Lag {
	b.count(&b.reads)
	return []pipeline.Lag{{Group: testGroup}}
}

func (*brittle) Close() {}

// TestMonitorPanics checks that a monitor goes on after panics in all that it calls: the
// inputs, the reading of the lag and the probe of the store.
func TestMonitorPanics(t *testing.T) {
	b, h := &brittle{}, &history{}
	b.broken.Store(true)
	probe := func(context.Context) error {
		b.count(&b.probes)
		return nil
	}
	logger := slog.New(slog.DiscardHandler)
	m := New(Options{
		Settings: pressure.Settings{Interval: 10 * time.Millisecond, Lag: pressure.LagSettings{
			Groups: []string{testGroup}, StaleAfter: time.Minute,
		}},
		Lag: b,
		Local: func(time.Time) pressure.Inputs {
			b.count(&b.local)
			return pressure.Inputs{}
		},
		Store: NewStage(StageOptions{
			Probe: probe, Depth: func() int64 { return 0 }, Interval: time.Millisecond, Logger: logger,
		}),
		Observer: h, Logger: logger,
	})
	m.Start()
	defer m.Close()
	testkit.Eventually(t, "panics in each", func() bool {
		return b.local.Load() > 2 && b.reads.Load() > 2 && b.probes.Load() > 2
	})
	b.broken.Store(false)
	testkit.Eventually(t, "a reading and an open gate", func() bool {
		read := h.counted(func(m moment) bool { return m.result == "ok" })
		return read > 0 && h.length() > 0 && h.last().fraction == 0
	})
}

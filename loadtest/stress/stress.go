// Package stress puts one Sluice under loads that it must outlive within bounds: more
// mail than its store takes, idle sessions, slow senders, clients that never read or that
// reset, servers behind it that stand still. Each scenario measures from outside, over the
// wire and in /proc, and reports in one row whether its promises held.
package stress

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"sluice/loadtest/drill"
	"sluice/loadtest/process"
)

// Env is where scenarios run.
type Env struct {
	Binary   string    // of Sluice
	Scratch  string    // folder, one below it for each scenario
	Progress io.Writer // gets a line now and then
}

// Scenario is one load with its promises. The error of Run says that it could not
// be done; whether the promises held stands in the row.
type Scenario interface {
	Name() string
	Run(ctx context.Context, env *Env) (*Row, error)
}

// Long are the scenarios at their full size.
func Long() []Scenario {
	return []Scenario{
		MemoryExhaustion{Senders: 1000, Size: 20 * mib, Budget: 256 * mib, Rate: 20e6, Credit: 90 * time.Second},
		MemoryExhaustion{Senders: 200, Size: 20 * mib, Budget: 256 * mib, Rate: 50e6, Credit: 110 * time.Second},
		MemoryExhaustion{Senders: 200, Size: 20 * mib, Budget: 256 * mib, Rate: 50e6, Credit: 110 * time.Second, TLS: true},
		IdleSessions{Idle: 15_000, Active: 200, Span: 20 * time.Second, Delay: 2, Rest: 150 * time.Second},
		IdleSessions{Idle: 10_000, Active: 200, Span: 20 * time.Second, Delay: 2, Rest: 150 * time.Second, TLS: true},
		Slowloris{Slow: 2000, Good: 50, Span: 15 * time.Second, Rounds: 2, Every: 5 * time.Second, Deadline: 25 * time.Second,
			Late: 3 * time.Second},
		SlowReaders{Each: 500, Readers: 25, Stall: 10 * time.Second},
		UnreadPeers{Peers: 1000, Most: 100, Honest: 50, Heap: 16 * mib, Patience: 2 * time.Minute},
		RecordFloods{Each: 10, Active: 50, Span: 10 * time.Second, Rate: 10_000, Delay: 2, Stall: 10 * time.Second, Heap: 32 * mib},
		LongEnvelopes{Sessions: 300, Messages: 2, Pack: 8192, Heap: 32, Rest: 5 * time.Minute},
		Outages{Victims: []string{drill.VictimStore, drill.VictimLog, drill.VictimBoth}, Sessions: 50, Length: time.Minute,
			Steady: 5 * time.Second, Deadline: 30 * time.Second, Budget: 128 * mib, Back: 5 * time.Second},
		SilentStore{Sessions: 30, Steady: 5 * time.Second, Refusal: 1500 * time.Millisecond, Back: 3},
		ConnectionChurn{Connections: 100_000, AtOnce: 400},
		Hoarders{Declared: 5, Parts: 14, Envelopes: 540, Budget: 256 * mib, Honest: 20, Every: 250 * time.Millisecond,
			Span: 90 * time.Second, Rotate: 25 * time.Second, Credit: 90 * time.Second, Part: 0.8, Slowest: 2 * time.Second},
		Hoarders{Growing: 300, Refused: 100, Ahead: 200, Empty: 100, Budget: 64 * mib, Honest: 20, Every: 250 * time.Millisecond,
			Span: 30 * time.Second, Rotate: 60 * time.Second, Credit: 90 * time.Second, Part: 0.8, Slowest: 2 * time.Second},
	}
}

// Short are the same scenarios in small, for tests: together a minute at most.
// What only shows in large numbers, or in more time than other tests on the machine
// leave alone, is promised by the long form; here its bounds are wider. Hoarders have no
// short form: the tests of gateway/driver and gateway/sim bring the same senders in time
// that is simulated.
func Short() []Scenario {
	return []Scenario{
		MemoryExhaustion{Senders: 60, Size: 6 * mib, Budget: 48 * mib, Rate: 40e6, Credit: 5 * time.Second},
		MemoryExhaustion{Senders: 40, Size: 4 * mib, Budget: 48 * mib, Rate: 40e6, Credit: time.Minute, TLS: true},
		IdleSessions{Idle: 1000, Active: 50, Span: time.Second, Delay: 8, Rest: time.Second, Heap: 16 * mib, TLS: true},
		IdleSessions{Idle: 2000, Active: 50, Span: 1500 * time.Millisecond, Delay: 8, Rest: time.Second, Heap: 16 * mib},
		Slowloris{Slow: 200, Good: 10, Span: 1500 * time.Millisecond, Rounds: 1, Every: time.Second, Deadline: 4 * time.Second,
			Late: 10 * time.Second},
		SlowReaders{Each: 50, Readers: 5, Stall: 2 * time.Second, Heap: 16 * mib},
		UnreadPeers{Peers: 100, Most: 20, Honest: 5, Heap: 16 * mib, Patience: time.Minute},
		RecordFloods{Each: 2, Active: 20, Span: time.Second, Rate: 5000, Stall: time.Second, Heap: 32 * mib},
		LongEnvelopes{Sessions: 20, Messages: 2, Pack: 1024},
		Outages{Victims: []string{drill.VictimBoth}, Sessions: 20, Length: 4 * time.Second,
			Steady: time.Second, Deadline: 3 * time.Second, Budget: 64 * mib, Back: 10 * time.Second, Recovered: 0.2},
		ConnectionChurn{Connections: 4000, AtOnce: 100},
	}
}

// instance is a Sluice under stress.
type instance struct {
	*process.Sluice
	process *process.Process
}

// startPatience bounds a start.
const startPatience = time.Minute

// open starts a gateway with further lines of YAML.
func (g *Env) open(ctx context.Context, name string, kind process.Kind, config string) (*instance, error) {
	gateway, err := g.prepare(name, kind, config)
	if err != nil {
		return nil, err
	}
	return start(ctx, gateway)
}

// prepare is open without the start.
func (g *Env) prepare(name string, kind process.Kind, config string) (*process.Sluice, error) {
	gateway, err := process.NewSluice(g.Binary, filepath.Join(g.Scratch, name), kind)
	if err != nil {
		return nil, err
	}
	gateway.Config = config
	return gateway, nil
}

func start(ctx context.Context, gateway *process.Sluice) (*instance, error) {
	starting, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	p, err := gateway.Start(starting)
	if err != nil {
		return nil, err
	}
	return &instance{Sluice: gateway, process: p}, nil
}

// close ends the gateway, whatever it does: scenarios that promise an orderly end
// ask for it themselves.
func (s *instance) close() { s.process.Kill() }

// say tells how far a scenario is.
func (g *Env) say(format string, args ...any) { fmt.Fprintf(g.Progress, format+"\n", args...) }

// pass lets a time pass while the gateway lives.
func (s *instance) pass(ctx context.Context, span time.Duration) error {
	over := time.NewTimer(span)
	defer over.Stop()
	select {
	case <-over.C:
		return nil
	case <-s.process.Ended():
		return fmt.Errorf("the gateway ended by itself:\n%s", s.process.Output())
	case <-ctx.Done():
		return ctx.Err()
	}
}

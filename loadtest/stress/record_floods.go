package stress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"sluice/loadtest/process"
)

// RecordFloods are peers that send records of TLS without text, as many as they may beside
// text, and records of a byte each, beside active sessions.
type RecordFloods struct {
	Each, Active int           // peers of each kind, and active sessions
	Span         time.Duration // of one measurement
	Rate         int           // records a second of all peers together
	Delay        float64       // what the p99 of replies may be of that beside ordinary text; 0 for anything
	Stall        time.Duration // timeouts.stall
	Heap         int64         // bytes that the heap may grow for however few peers
}

// Name of the scenario.
func (r RecordFloods) Name() string {
	return fmt.Sprintf("%d peers of each of %d kinds that flood with records, %d a second", r.Each, len(floods), r.Rate)
}

const (
	// floodCost is what a record may cost the gateway, in µs of CPU time.
	floodCost = 40
	// floodMemory is promised for each peer, in KiB: its session, and what it does not read.
	floodMemory = 64
	// floodEvery is the pace of a peer.
	floodEvery = 50 * time.Millisecond
	// floodWindow is the receive buffer of a peer that does not read.
	floodWindow = 4 << 10

	metricStalledEnd = `sluice_sessions_closed_total{end="stalled"}`
	metricBadRecords = `sluice_tls_failures_total{cause="record"}`
	metricAccepted   = `sluice_messages_total{result="accepted"}`
)

// Run measures replies and CPU time with and without the floods. Then peers send hardly
// any text, and others ask for new keys and never read the answers.
func (r RecordFloods) Run(ctx context.Context, env *Env) (*Row, error) {
	gateway, err := env.prepare("record-floods", process.Discard, fmt.Sprintf(
		"limits: {junk_commands: 32767, min_data_rate: 1}\ntimeouts: {stall: %v}\nlog: {level: error}\n", r.Stall))
	if err != nil {
		return nil, err
	}
	if err := offerTLS(ctx, gateway); err != nil {
		return nil, err
	}
	inst, err := start(ctx, gateway)
	if err != nil {
		return nil, err
	}
	defer inst.close()
	if _, err := r.others(ctx, inst); err != nil { // the first use of everything
		return nil, err
	}
	alone, err := r.others(ctx, inst)
	if err != nil {
		return nil, err
	}
	before, err := inst.settle(ctx)
	if err != nil {
		return nil, err
	}
	common, _, _, err := r.beside(ctx, inst, ordinary)
	if err != nil {
		return nil, err
	}
	seen := inst.watch(ctx)
	beside, records, failures, err := r.beside(ctx, inst, floods)
	if err != nil {
		return nil, err
	}
	silent, unread := r.silent(ctx, inst), r.unread(ctx, inst)
	after, err := inst.settle(ctx)
	if err := errors.Join(err, seen.stop()); err != nil {
		return nil, err
	}
	peers := r.Each * len(floods)
	row := &Row{Scenario: r.Name()}
	if r.Delay > 0 {
		row.atMost("p99 of replies beside them, of that beside ordinary text", p99(beside.answers)/p99(common.answers), r.Delay)
	}
	row.atMost("µs of CPU time for each record", 1e6*(beside.cpu-alone.cpu).Seconds()/records, floodCost)
	row.atMost("MiB resident growth without bodies", inMiB(seen.resident-before.resident)-seen.metrics[metricBodies]/mib,
		inMiB(r.Heap)+float64(peers)*floodMemory/1024)
	row.atMost("more goroutines", seen.metrics[metricGoroutines]-before.metrics[metricGoroutines], goroutinesMore)
	row.all("the message of each is taken in the end", int(after.metrics[metricAccepted]), 2*peers)
	row.all("each with hardly any text is cut off", int(after.metrics[metricBadRecords]), silent)
	row.all("each that does not read is ended", int(after.metrics[metricStalledEnd]), unread)
	row.note("%.0f records/s; p99 %.2g ms without, %.2g ms beside ordinary text, %.2g ms beside them",
		records/r.Span.Seconds(), 1e3*p99(alone.answers), 1e3*p99(common.answers), 1e3*p99(beside.answers))
	if failures.total() > 0 {
		row.note("failures: %s", failures)
	}
	return row, nil
}

// spell is what was measured for a time.
type spell struct {
	answers []answer
	cpu     time.Duration // of the gateway
}

// others lets the active sessions work.
func (r RecordFloods) others(ctx context.Context, inst *instance) (spell, error) {
	began, err := inst.cpu()
	if err != nil {
		return spell{}, err
	}
	answers, err := IdleSessions{Active: r.Active, Span: r.Span}.active(ctx, inst)
	if err != nil {
		return spell{}, err
	}
	ended, err := inst.cpu()
	return spell{answers, ended - began}, err
}

// beside lets the active sessions work beside floods, and returns the number of their
// records and what failed.
func (r RecordFloods) beside(ctx context.Context, inst *instance, kinds []floodKind) (spell, float64, *tally, error) {
	flooding, over := context.WithCancel(ctx)
	defer over()
	failures, sent, load, err := r.flood(flooding, inst, kinds)
	if err != nil {
		return spell{}, 0, nil, err
	}
	was := sent.Load()
	found, err := r.others(ctx, inst)
	records := float64(sent.Load() - was)
	over()
	load.Wait()
	return found, records, failures, err
}

// flood begins the floods, which go on until ctx ends, and returns what fails, the number
// of records so far, and whom to wait for. A client of crypto/tls would not read so many
// new keys without text, so it is left open what the replies are.
func (r RecordFloods) flood(ctx context.Context, inst *instance, kinds []floodKind) (failures *tally, sent *atomic.Int64, load *sync.WaitGroup, err error) {
	failures, sent, load = newTally(), new(atomic.Int64), new(sync.WaitGroup)
	var all crowd
	peers := r.Each * len(floods)
	quota := int(float64(r.Rate) * floodEvery.Seconds() / float64(peers))
	err = all.gather(ctx, peers, func(i int) (*peer, error) {
		p, f, err := inst.joinFlood(ctx, kinds[i%len(kinds)].record, 0)
		if err != nil {
			return p, err
		}
		load.Go(func() {
			_, _ = io.Copy(io.Discard, f.raw) // until it is closed
			_ = p.Close()
		})
		load.Go(func() {
			err := f.pace(ctx, quota, sent)
			if err == nil {
				err = p.say("\r\n.\r\nQUIT\r\n")
			}
			if err != nil {
				failures.add(kinds[i%len(kinds)].name + ": " + plainError(err))
			}
		})
		return p, nil
	})
	return failures, sent, load, err
}

// silent has peers of each kind send hardly any text, and returns how many there are.
func (r RecordFloods) silent(ctx context.Context, inst *instance) (peers int) {
	for _, kind := range floods {
		if kind.record == nil {
			continue
		}
		for range r.Each {
			peers++
			p, f, err := inst.joinFlood(ctx, kind.record, 0)
			if err != nil {
				continue // it is missed in the end
			}
			for i := 0; err == nil && ctx.Err() == nil; i++ {
				_, err = f.raw.Write(f.record(f.keys))
				if i%4 == 0 && err == nil {
					err = p.say("x")
				}
			}
			_ = p.Close()
		}
	}
	return peers
}

// unread has peers ask for new keys and read nothing, until each is ended, and returns how
// many there are.
func (r RecordFloods) unread(ctx context.Context, inst *instance) (peers int) {
	var all sync.WaitGroup
	for range r.Each {
		peers++
		all.Go(func() {
			p, f, err := inst.joinFlood(ctx, floods[len(floods)-1].record, floodWindow)
			if err != nil {
				return
			}
			defer p.Close()
			if err := f.raw.SetWriteDeadline(time.Now().Add(r.Stall + patience)); err != nil {
				return
			}
			for err == nil && ctx.Err() == nil {
				wire, _ := f.unit()
				_, err = f.raw.Write(wire)
			}
		})
	}
	all.Wait()
	return peers
}

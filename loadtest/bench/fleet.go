package bench

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"sluice/loadtest/client"
	"sluice/loadtest/process"
)

// Fleet is Sluice on a real object store and a real broker, beside the client
// libraries of both without Sluice.
const Fleet = "fleet"

// What is measured of a fleet.
const (
	rawPut     = "raw-put"
	rawProduce = "raw-produce"
	rawLarge   = "raw-multipart"
	rawStream  = "raw-stream"
	fleetLarge = "fleet-large"
)

const (
	fleetBucket = "mail"
	// putsAtOnce is store.s3.concurrency by default.
	putsAtOnce = 32
)

// LargeLoad is large messages, a few of them at the same time.
type LargeLoad struct {
	Messages int `json:"messages"`
	Sessions int `json:"sessions"`
	Size     int `json:"size"` // bytes
}

// FleetPlan is one run of the fleet's benchmark.
type FleetPlan struct {
	Load     Load
	Large    LargeLoad
	Rounds   int
	Self     string // this program, which is also the sender of the raw stream
	Sluice   string // the gateway's binary
	Scratch  string
	Progress io.Writer // a line for each measurement
}

// fleetRun is a plan being carried out.
type fleetRun struct {
	*FleetPlan
	servers *servers
	report  *FleetReport
	store   *rawStore
	log     *rawLog
	content string // of a large message
	sender  string // host:port of who writes it to whoever connects
}

// RunFleet starts a store and a broker, and measures against them in turn: the
// store's client alone, the producer alone, Sluice; each round starts with another,
// on an empty store.
func RunFleet(ctx context.Context, plan FleetPlan) (*FleetReport, error) {
	s, err := startServers(plan.Scratch)
	if err != nil {
		return nil, err
	}
	defer s.close()
	run := &fleetRun{FleetPlan: &plan, servers: s, report: newFleetReport(plan), content: string(LargeContent(plan.Large.Size))}
	if err := run.prepare(ctx); err != nil {
		return nil, err
	}
	defer run.log.client.Close()
	sender, address, err := startStream(ctx, plan)
	if err != nil {
		return nil, err
	}
	defer sender.Kill()
	run.sender = address
	turns := []func(context.Context) error{run.rawTurn, run.sluiceTurn}
	for round := range plan.Rounds {
		if round > 0 {
			if err := run.renewStore(ctx); err != nil {
				return nil, err
			}
		}
		for i := range turns {
			if err := turns[(round+i)%len(turns)](ctx); err != nil {
				return nil, err
			}
		}
	}
	return run.report, nil
}

// prepare lets Sluice take a message, so that the raw side does the same.
func (run *fleetRun) prepare(ctx context.Context) error {
	p, gateway, err := run.start(ctx)
	if err != nil {
		return err
	}
	defer p.Kill()
	one := Load{Messages: 1, Sessions: 1, Size: run.Load.Size}
	if err := one.send(ctx, Reused, gateway.SMTP); err != nil {
		return fmt.Errorf("%w\nthe server said:\n%s", err, p.Output())
	}
	record, object, err := seen(ctx, run.servers, gateway.Topic)
	if err != nil {
		return err
	}
	if run.store, err = newRawStore(run.servers.store, putsAtOnce); err != nil {
		return err
	}
	run.store.object = LargeContent(int(object.Size))
	run.store.metadata = object.UserMetadata
	const topic = "raw"
	if err := run.servers.broker.CreateTopic(ctx, topic, 3, nil); err != nil {
		return err
	}
	if run.log, err = newRawLog(run.servers.broker, topic); err != nil {
		return err
	}
	run.log.record = record
	run.report.Object, run.report.Record = object.Size, len(record.Key)+len(record.Value)
	return nil
}

// renewStore begins a round on an empty store, with an empty bucket.
func (run *fleetRun) renewStore(ctx context.Context) error {
	if err := run.servers.renewStore(); err != nil {
		return err
	}
	fresh, err := newRawStore(run.servers.store, putsAtOnce)
	if err != nil {
		return err
	}
	fresh.object, fresh.metadata = run.store.object, run.store.metadata
	run.store = fresh
	return fresh.core.MakeBucket(ctx, fresh.bucket, minio.MakeBucketOptions{})
}

// start starts a fresh Sluice on the servers.
func (run *fleetRun) start(ctx context.Context) (*process.Process, *process.Sluice, error) {
	return run.servers.startSluice(ctx, run.Sluice, filepath.Join(run.Scratch, Fleet), func(gateway *process.Sluice) {
		// Content of the large size, and what Sluice writes above it.
		gateway.Config = fmt.Sprintf("limits: {message_size: %dMiB, messages: 1000000}\nlog: {format: json, messages: off}\n", run.Large.Size>>20+16)
		gateway.S3.More = packingOff
	})
}

// rawTurn measures the libraries without Sluice.
func (run *fleetRun) rawTurn(ctx context.Context) error {
	small := workers{messages: run.Load.Messages, atOnce: min(putsAtOnce, run.Load.Sessions)}
	large := workers{messages: run.Large.Messages, atOnce: run.Large.Sessions}
	for _, m := range []struct {
		what    string
		workers workers
		do      func(context.Context) error
	}{
		{rawPut, small, run.store.put},
		{rawProduce, workers{run.Load.Messages, run.Load.Sessions}, run.log.produce},
		{rawLarge, large, func(ctx context.Context) error {
			return run.store.putLarge(ctx, strings.NewReader(run.content), int64(len(run.content)))
		}},
		{rawStream, large, func(ctx context.Context) error {
			return run.store.putStream(ctx, run.sender, int64(len(run.content)))
		}},
	} {
		warm := m.workers
		warm.messages = max(m.workers.messages/10, m.workers.atOnce)
		if err := warm.work(ctx, m.do); err != nil {
			return fmt.Errorf("%s: %w", m.what, err)
		}
		sample, err := run.measure(ctx, m.workers, ownCPU, m.do)
		if err != nil {
			return fmt.Errorf("%s: %w", m.what, err)
		}
		run.add(m.what, sample)
	}
	return nil
}

// sluiceTurn measures a fresh Sluice, small messages and then large ones.
func (run *fleetRun) sluiceTurn(ctx context.Context) error {
	p, gateway, err := run.start(ctx)
	if err != nil {
		return err
	}
	defer p.Kill()
	warm := run.Load
	warm.Messages = max(run.Load.Messages/10, run.Load.Sessions)
	if err := warm.send(ctx, Reused, gateway.SMTP); err != nil {
		return fmt.Errorf("%w\nthe server said:\n%s", err, p.Output())
	}
	sample, err := run.Load.measure(ctx, Reused, p, gateway.SMTP)
	if err != nil {
		return err
	}
	run.add(Fleet, sample)
	large := workers{messages: run.Large.Messages, atOnce: run.Large.Sessions}
	send := func(ctx context.Context) error { return sendLarge(ctx, gateway.SMTP, run.content) }
	if err := (workers{large.atOnce, large.atOnce}).work(ctx, send); err != nil {
		return fmt.Errorf("large messages: %w\nthe server said:\n%s", err, p.Output())
	}
	if sample, err = run.measure(ctx, large, p.CPU, send); err != nil {
		return fmt.Errorf("large messages: %w\nthe server said:\n%s", err, p.Output())
	}
	run.add(fleetLarge, sample)
	return run.profileOnce(ctx, p, gateway.SMTP)
}

// profileOnce takes a profile in the last round, after everything was measured:
// taking it costs something itself.
func (run *fleetRun) profileOnce(ctx context.Context, p *process.Process, address string) error {
	if len(run.report.row(Fleet).Samples) < run.Rounds {
		return nil
	}
	shares, err := profile(ctx, p, filepath.Join(run.Scratch, "perf.data"), func() error {
		return run.Load.send(ctx, Reused, address)
	})
	if err != nil {
		fmt.Fprintf(run.Progress, "no profile: %v\n", err)
		return nil
	}
	run.report.Profile = shares
	return nil
}

// measure also reads the CPU time of the store.
func (run *fleetRun) measure(ctx context.Context, c workers, cpu func() (time.Duration, error), do func(context.Context) error) (Sample, error) {
	before, err := process.CPU(run.servers.store.PID())
	if err != nil {
		return Sample{}, err
	}
	sample, err := c.measure(ctx, cpu, do)
	if err != nil {
		return Sample{}, err
	}
	after, err := process.CPU(run.servers.store.PID())
	sample.Store10k = (after - before).Seconds() / float64(c.messages) * 10000
	return sample, err
}

func (run *fleetRun) add(what string, sample Sample) {
	row := run.report.row(what)
	row.Samples = append(row.Samples, sample)
	fmt.Fprintf(run.Progress, "round %d  %-14s %9.1f messages/s  %8.3f CPU-s per 10,000\n",
		len(row.Samples), what, sample.Rate, sample.CPU10k)
}

// sendLarge sends one message in a session of its own. Content has no line that
// begins with a dot.
func sendLarge(ctx context.Context, address, content string) error {
	conn, err := client.Dial(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // Quit has closed it when all went well
	mail := &client.Mail{From: "sender@example.org", To: []string{"recipient@example.net"}}
	if err := conn.Begin(mail); err != nil {
		return err
	}
	if err := conn.Write(content); err != nil {
		return err
	}
	if err := conn.Command(250, "."); err != nil {
		return err
	}
	return conn.Quit()
}

// LargeContent is a message of so many bytes, without dots to stuff.
func LargeContent(size int) []byte {
	const header = "From: <sender@example.org>\r\nTo: <recipient@example.net>\r\nSubject: large\r\n\r\n"
	content := append(make([]byte, 0, size+80), header...)
	for line := 0; len(content) < size-2; line++ {
		content = fmt.Appendf(content, "%076s\r\n", strconv.Itoa(line*7919))
	}
	return append(content[:max(size-2, 0)], "\r\n"...)
}

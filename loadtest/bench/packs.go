package bench

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/process"
)

// Packs is Sluice on a store and a broker, with packing and without, beside a
// Postfix that keeps its queue on the same disk.
const Packs = "packs"

// PacksPlan is one run of it.
type PacksPlan struct {
	Messages int // of one measurement of a rate, with packing
	Rounds   int
	Size     int // bytes
	Sluice   string
	Scratch  string
	Progress io.Writer
}

// What is measured, and with how many sessions.
const (
	packed   = "packed"
	unpacked = "unpacked"
	postfix  = "postfix"
)

var packSessions = []int{1, 50, 500}

// slower contenders send a part of the messages: rates are compared.
const slowPart = 4

type packsRun struct {
	*PacksPlan
	servers *servers
	report  *PacksReport
}

// RunPacks measures in turn, each round beginning with another.
func RunPacks(ctx context.Context, plan PacksPlan) (*PacksReport, error) {
	s, err := startServers(plan.Scratch)
	if err != nil {
		return nil, err
	}
	defer s.close()
	run := &packsRun{PacksPlan: &plan, servers: s, report: &PacksReport{Size: plan.Size}}
	if err := run.warmUp(ctx); err != nil {
		return nil, err
	}
	turns := []func(context.Context) error{
		func(ctx context.Context) error { return run.sluiceTurn(ctx, packed) },
		func(ctx context.Context) error { return run.sluiceTurn(ctx, unpacked) },
		run.postfixTurn,
		run.rawTurn,
	}
	for round := range plan.Rounds {
		for i := range turns {
			if err := turns[(round+i)%len(turns)](ctx); err != nil {
				return nil, err
			}
		}
		if err := run.servers.renewStore(); err != nil {
			return nil, err
		}
	}
	return run.report, nil
}

// start starts a fresh Sluice.
func (run *packsRun) start(ctx context.Context, what string) (*process.Process, *process.Sluice, error) {
	return run.servers.startSluice(ctx, run.Sluice, filepath.Join(run.Scratch, what), func(gateway *process.Sluice) {
		gateway.Config = "limits: {messages: 1000000}\nlog: {format: json, messages: off}\n"
		if what == unpacked {
			gateway.S3.More = packingOff
		}
	})
}

// warmUp sends as much as is measured later: a broker that has just been started
// needs half as much CPU time again until its code is compiled.
func (run *packsRun) warmUp(ctx context.Context) error {
	p, gateway, err := run.start(ctx, packed)
	if err != nil {
		return err
	}
	defer p.Kill()
	load := Load{Messages: run.Messages, Sessions: mixedSessions, Size: run.Size}
	return load.send(ctx, Reused, gateway.SMTP)
}

func (run *packsRun) sluiceTurn(ctx context.Context, what string) error {
	p, gateway, err := run.start(ctx, what)
	if err != nil {
		return err
	}
	defer p.Kill()
	messages := run.Messages
	if what == unpacked {
		messages /= slowPart
	}
	for _, sessions := range packSessions {
		if err := run.measure(ctx, target{p, gateway.SMTP}, PacksRow{What: what, Sessions: sessions}, messages); err != nil {
			return fmt.Errorf("%s: %w\nthe server said:\n%s", what, err, p.Output())
		}
	}
	if what == unpacked {
		return nil
	}
	if err := run.warmUpMixed(ctx, gateway.SMTP); err != nil {
		return err
	}
	for _, mix := range mixes(run.Messages / slowPart) {
		latency, err := mix.load.send(ctx, overSMTP(gateway.SMTP))
		if err != nil {
			return err
		}
		run.add(PacksRow{What: mix.what, Sessions: mixedSessions}, PacksSample{Latency: latency})
	}
	return run.profileOnce(ctx, p, gateway.SMTP)
}

// Names of the mixed loads.
const (
	mixedFull      = "mixed sizes"
	mixedFullSmall = "mixed sizes, without the large"
	mixedPaced     = "mixed sizes, paced"
	mixedPacedSame = "mixed sizes, paced, without the large"

	rawPrefix = "minio-go, " // the same without Sluice

	mixedSessions = 50
	// mixedPace leaves the machine a third to a half of its time: the small
	// messages have to wait for nothing but what Sluice lets them wait for.
	mixedPace = 2500 * time.Microsecond
)

type mix struct {
	what string
	load timedLoad
}

func mixedLoad(messages int) timedLoad {
	return timedLoad{messages: messages, sessions: mixedSessions, size: mixed}
}

// mixes are small messages, and the same with large ones among them: as fast as
// the answers come, where the large take their part of the machine, and at a pace.
func mixes(messages int) []mix {
	return []mix{
		{mixedFullSmall, timedLoad{messages: messages, sessions: mixedSessions, size: smallMixed}},
		{mixedFull, mixedLoad(messages)},
		{mixedPacedSame, timedLoad{messages: messages, sessions: mixedSessions, size: smallMixed, pace: mixedPace}},
		{mixedPaced, timedLoad{messages: messages, sessions: mixedSessions, size: mixed, pace: mixedPace}},
	}
}

// warmUpMixed lets Sluice find out how many requests of large messages its small ones do
// not feel. It tries that once in five minutes, for some tenths of a second, which
// would be a good part of a measurement of seconds.
func (run *packsRun) warmUpMixed(ctx context.Context, address string) error {
	_, err := mixedLoad(run.Messages/slowPart).send(ctx, overSMTP(address))
	return err
}

// rawTurn puts the paced messages by the bare client: whom the large ones hold up
// there, the store does.
func (run *packsRun) rawTurn(ctx context.Context) error {
	store, err := newRawStore(run.servers.store, mixedSessions+4)
	if err != nil {
		return err
	}
	if err := store.makeBucket(ctx); err != nil {
		return err
	}
	for _, mix := range mixes(run.Messages / slowPart) {
		if mix.load.pace == 0 {
			continue
		}
		latency, err := mix.load.send(ctx, store.open)
		if err != nil {
			return err
		}
		run.add(PacksRow{What: rawPrefix + mix.what, Sessions: mixedSessions}, PacksSample{Latency: latency})
	}
	return nil
}

// target is who is measured.
type target struct {
	process *process.Process
	address string
}

// measure sends by smtp-source, for the rate, and by a client that times each final
// dot. One session sends a few messages: its rate says nothing that its times do not.
func (run *packsRun) measure(ctx context.Context, to target, at PacksRow, messages int) error {
	load := Load{Messages: messages, Sessions: at.Sessions, Size: run.Size}
	if at.Sessions == 1 {
		load.Messages = messages / 10
	}
	warm := load
	warm.Messages = max(load.Messages/10, at.Sessions)
	if err := warm.send(ctx, Reused, to.address); err != nil {
		return err
	}
	sample, err := load.measure(ctx, Reused, to.process, to.address)
	if err != nil {
		return err
	}
	latency, err := timedLoad{messages: max(load.Messages/2, 500), sessions: at.Sessions, size: always(run.Size)}.send(ctx, overSMTP(to.address))
	run.add(at, PacksSample{Sample: sample, Latency: latency})
	return err
}

// profileOnce takes a profile in the last round, after everything was measured.
func (run *packsRun) profileOnce(ctx context.Context, p *process.Process, address string) error {
	if len(run.report.row(packed, 500).Samples) < run.Rounds {
		return nil
	}
	load := Load{Messages: run.Messages * 2, Sessions: 500, Size: run.Size}
	shares, err := profile(ctx, p, filepath.Join(run.Scratch, "perf.data"), func() error {
		return load.send(ctx, Reused, address)
	})
	if err != nil {
		fmt.Fprintf(run.Progress, "no profile: %v\n", err)
		return nil
	}
	run.report.Profile = shares
	return nil
}

// postfixTurn measures a Postfix that discards what it has queued, as fast as it can.
func (run *packsRun) postfixTurn(ctx context.Context) error {
	p, stop, err := newPostfix(`default_transport = discard
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_process_limit = 600
qmgr_message_active_limit = 100000
`)
	if err != nil {
		return err
	}
	defer stop()
	if err := p.Start(ctx); err != nil {
		return err
	}
	if err := awaitSMTP(ctx, p.Address); err != nil {
		return err
	}
	for _, sessions := range packSessions[1:] {
		load := Load{Messages: run.Messages / slowPart, Sessions: sessions, Size: run.Size}
		warm := load
		warm.Messages = max(load.Messages/10, sessions)
		if err := warm.send(ctx, Reused, p.Address); err != nil {
			return err
		}
		began := time.Now()
		if err := load.send(ctx, Reused, p.Address); err != nil {
			return err
		}
		run.add(PacksRow{What: postfix, Sessions: sessions}, PacksSample{Sample: newSample(load.Messages, time.Since(began), 0)})
	}
	return nil
}

// awaitSMTP waits until somebody greets.
func awaitSMTP(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		c, err := client.Dial(ctx, address)
		if err == nil {
			return c.Quit()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (run *packsRun) add(at PacksRow, sample PacksSample) {
	row := run.report.row(at.What, at.Sessions)
	row.Samples = append(row.Samples, sample)
	fmt.Fprintf(run.Progress, "round %d  %-32s %4d sessions %9.1f messages/s %7.3f CPU-s per 10,000  p50 %.1f ms p99 %.1f ms\n",
		len(row.Samples), at.What, at.Sessions, sample.Rate, sample.CPU10k, sample.Latency.P50, sample.Latency.P99)
}

// Package drill ends Sluice as kill -9 does, under load, again and again, and
// then looks for every message that was answered 250.
package drill

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"time"

	"sluice/loadtest/child"
	"sluice/loadtest/client"
)

// Plan is one drill.
type Plan struct {
	Gateway  *child.Sluice
	Rounds   int
	Sessions int
	Seed     uint64
	Receipts io.Writer // gets a line for each 250; may be nil
	Progress io.Writer
}

// Round is one life of the gateway.
type Round struct {
	Ready        float64 `json:"ready_seconds"` // from its start until it was ready
	Acknowledged int     `json:"acknowledged"`
	Lived        float64 `json:"under_load_seconds"`
}

const (
	// readyPatience bounds a start: the log's recovery is part of it.
	readyPatience = 60 * time.Second
	// loadPatience bounds the wait for the first 250 of a life.
	loadPatience = 30 * time.Second
	// longestLife is how long a gateway lives under load at most; the moment of its
	// death is drawn evenly from here.
	longestLife = 2 * time.Second
	// lastWords bounds the orderly end after the last round.
	lastWords = 60 * time.Second
)

// Run does it. An error says that the drill could not be done; what was lost
// stands in the report.
func Run(ctx context.Context, plan Plan) (*Report, error) {
	ledger := client.NewLedger(plan.Receipts)
	senders := &client.Senders{
		Address: plan.Gateway.SMTP, Sessions: plan.Sessions, Seed: plan.Seed,
		Compose: client.Composer{Seed: plan.Seed}.Compose, Ledger: ledger,
	}
	sending, giveUp := context.WithCancel(ctx)
	closing, finish := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		senders.Run(sending, closing)
		close(ended)
	}()
	defer func() { giveUp(); finish(); <-ended }()

	d := &drill{plan: plan, ledger: ledger, random: rand.New(rand.NewPCG(plan.Seed, 0))}
	report := &Report{At: time.Now().UTC(), Seed: plan.Seed, Sessions: plan.Sessions}
	for number := range plan.Rounds {
		round, err := d.round(ctx)
		if err != nil {
			return nil, fmt.Errorf("round %d: %w", number+1, err)
		}
		report.Rounds = append(report.Rounds, round)
		fmt.Fprintf(plan.Progress, "round %d of %d: ready after %.2f s, %d answered 250 in %.2f s, killed\n",
			number+1, plan.Rounds, round.Ready, round.Acknowledged, round.Lived)
	}
	last, err := d.start(ctx)
	if err != nil {
		return nil, fmt.Errorf("after the last round: %w", err)
	}
	defer last.Kill()
	finish()
	select {
	case <-ended:
	case <-last.Ended():
		return nil, fmt.Errorf("the gateway ended by itself:\n%s", last.Output())
	case <-time.After(lastWords):
		return nil, fmt.Errorf("the senders got no answer within %v:\n%s", lastWords, last.Output())
	}
	report.Tally = senders.Tally()
	if err := report.audit(ctx, plan.Gateway, ledger); err != nil {
		return nil, err
	}
	ending, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	if err := last.Stop(ending); err != nil {
		return nil, fmt.Errorf("SIGTERM: %w\n%s", err, last.Output())
	}
	return report, nil
}

type drill struct {
	plan   Plan
	ledger *client.Ledger
	random *rand.Rand
}

func (d *drill) start(ctx context.Context) (*child.Process, error) {
	starting, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	return d.plan.Gateway.Start(starting)
}

// round starts the gateway, waits until it has answered 250, lets it live for a
// random time and kills it.
func (d *drill) round(ctx context.Context) (Round, error) {
	before, _ := d.ledger.Len()
	began := time.Now()
	p, err := d.start(ctx)
	if err != nil {
		return Round{}, err
	}
	defer p.Kill()
	ready := time.Since(began)
	if err := d.awaitMore(ctx, p, before); err != nil {
		return Round{}, err
	}
	loaded := time.Now()
	death := time.NewTimer(time.Duration(d.random.Int64N(int64(longestLife))))
	defer death.Stop()
	select {
	case <-death.C:
	case <-p.Ended():
		return Round{}, fmt.Errorf("the gateway ended by itself:\n%s", p.Output())
	case <-ctx.Done():
		return Round{}, ctx.Err()
	}
	_ = p.Signal(syscall.SIGKILL) // the moment itself; Kill also waits
	p.Kill()
	after, _ := d.ledger.Len()
	return Round{Ready: ready.Seconds(), Acknowledged: after - before, Lived: time.Since(loaded).Seconds()}, nil
}

// awaitMore waits until the ledger holds more than so many receipts.
func (d *drill) awaitMore(ctx context.Context, p *child.Process, than int) error {
	late := time.NewTimer(loadPatience)
	defer late.Stop()
	for {
		n, grown := d.ledger.Len()
		if n > than {
			return nil
		}
		select {
		case <-grown:
		case <-p.Ended():
			return fmt.Errorf("the gateway ended by itself:\n%s", p.Output())
		case <-late.C:
			return fmt.Errorf("no 250 within %v:\n%s", loadPatience, p.Output())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Package drill ends Sluice and the servers behind it as kill -9 does, or stops
// those servers for a time, under load, again and again, and then looks for every
// message that was answered 250.
package drill

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// Round is one death under load and the return from it.
type Round struct {
	Victim       string  `json:"victim"`
	Acknowledged int     `json:"acknowledged"` // until it was ready again
	Lived        float64 `json:"under_load_seconds"`
	Ready        float64 `json:"ready_seconds"`    // from its start until it was ready
	Answered     float64 `json:"answered_seconds"` // from then until the next 250
}

// longestLife is how long a victim lives under load at most; the moment of its
// death is drawn evenly from here.
const longestLife = 2 * time.Second

// Run kills the gateway, or with a fleet the gateway, the store and the log in
// turn. An error says that the drill could not be done; what was lost stands in
// the report.
func Run(ctx context.Context, plan Plan) (*Report, error) {
	victims := []string{VictimSluice}
	if plan.Fleet != nil {
		victims = append(victims, VictimStore, VictimLog)
	}
	d, err := begin(ctx, plan)
	if err != nil {
		return nil, err
	}
	defer d.abandon()
	if err := d.awaitMore(ctx, 0); err != nil {
		return nil, err
	}
	for number := range plan.Rounds {
		round, err := d.round(ctx, victims[number%len(victims)])
		if err != nil {
			return nil, fmt.Errorf("round %d: %w", number+1, err)
		}
		d.report.Rounds = append(d.report.Rounds, round)
		fmt.Fprintf(plan.Progress, "round %d of %d: %d answered 250, %s killed after %.2f s, ready after %.2f s, the next 250 %.2f s later\n",
			number+1, plan.Rounds, round.Acknowledged, round.Victim, round.Lived, round.Ready, round.Answered)
	}
	return d.end(ctx)
}

// round lets the victim live for a random time, kills it, starts it again and
// waits until a message was answered 250.
func (d *drill) round(ctx context.Context, victim string) (Round, error) {
	before, _ := d.ledger.Len()
	loaded := time.Now()
	if err := d.live(ctx, time.Duration(d.random.Int64N(int64(longestLife)))); err != nil {
		return Round{}, err
	}
	round := Round{Victim: victim, Lived: time.Since(loaded).Seconds()}
	restart, err := d.kill(ctx, victim)
	if err != nil {
		return Round{}, err
	}
	began := time.Now()
	if err := restart(); err != nil {
		return Round{}, err
	}
	ready := time.Now()
	after, _ := d.ledger.Len()
	if err := d.awaitMore(ctx, after); err != nil {
		return Round{}, fmt.Errorf("%s is back: %w", victim, err)
	}
	round.Acknowledged, round.Ready, round.Answered = after-before, ready.Sub(began).Seconds(), time.Since(ready).Seconds()
	return round, nil
}

// kill ends the victim and returns what starts it again, on the same ports and data.
func (d *drill) kill(ctx context.Context, victim string) (restart func() error, err error) {
	if victim == VictimSluice {
		err := d.gateway.Signal(syscall.SIGKILL) // the moment itself; Kill also waits
		d.gateway.Kill()
		d.killed = time.Now()
		return func() error { return d.start(ctx) }, err
	}
	server := d.plan.Fleet.servers(victim)[0]
	return server.Restart, server.Kill()
}

package drill

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/process"
	"sluice/loadtest/stack"
)

// Plan is one drill.
type Plan struct {
	Gateway  *process.Sluice
	Fleet    *Fleet               // what a gateway of kind process.Fleet uses; else nil
	Cluster  *stack.KafkaCluster  // of a gateway of kind process.Cluster
	Resolver *stack.UnboundServer // of a gateway that verifies; of StartResolver
	Rounds   int
	Sessions int
	Seed     uint64
	Receipts io.Writer // gets a line for each 250; may be nil
	Progress io.Writer
	Started  func(*process.Process) // is called at each start of the gateway; may be nil
}

const (
	// readyPatience bounds a start: the log's recovery is part of it.
	readyPatience = 60 * time.Second
	// loadPatience bounds the wait for the first 250 after a start.
	loadPatience = 30 * time.Second
	// lastWords bounds the orderly end.
	lastWords = 90 * time.Second
)

// drill is a gateway under load.
type drill struct {
	plan    Plan
	ledger  *client.Ledger
	random  *rand.Rand
	senders *client.Senders
	report  *Report

	gateway *process.Process
	// auditFrom is when the topic was made, if it was deleted in between.
	auditFrom time.Time
	// killed is when a gateway was last ended before it could clean up.
	killed time.Time

	finish context.CancelFunc // no mail begins any more
	giveUp context.CancelFunc // and none is finished
	ended  chan struct{}      // closed when the senders have ended
}

// begin starts the gateway and the load on it. end or abandon ends both.
func begin(ctx context.Context, plan Plan) (*drill, error) {
	compose := client.Composer{Seed: plan.Seed}.Compose
	if plan.Fleet != nil {
		compose = bulky(compose)
	}
	if plan.Resolver != nil {
		compose = fromStrangers(compose)
	}
	d := &drill{
		plan: plan, ledger: client.NewLedger(plan.Receipts), random: rand.New(rand.NewPCG(plan.Seed, 0)),
		report: &Report{At: time.Now().UTC(), Kind: plan.Gateway.Kind, Seed: plan.Seed, Sessions: plan.Sessions},
		ended:  make(chan struct{}),
	}
	d.senders = &client.Senders{
		Address: plan.Gateway.SMTP, Sessions: plan.Sessions, Seed: plan.Seed, Compose: compose, Ledger: d.ledger,
	}
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	var sending, closing context.Context
	sending, d.giveUp = context.WithCancel(ctx)
	closing, d.finish = context.WithCancel(ctx)
	go func() {
		d.senders.Run(sending, closing)
		close(d.ended)
	}()
	return d, nil
}

func (d *drill) start(ctx context.Context) error {
	starting, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	var err error
	d.gateway, err = d.plan.Gateway.Start(starting)
	if err == nil && d.plan.Started != nil {
		d.plan.Started(d.gateway)
	}
	return err
}

// abandon ends what still runs, without a word.
func (d *drill) abandon() {
	d.giveUp()
	d.finish()
	<-d.ended
	if d.gateway != nil {
		d.gateway.Kill()
	}
}

// end lets the senders finish what they have begun, ends the gateway in order and
// audits. The topic of the embedded broker is there only while its gateway runs.
func (d *drill) end(ctx context.Context) (*Report, error) {
	d.finish()
	select {
	case <-d.ended:
	case <-d.gateway.Ended():
		return nil, d.endedByItself()
	case <-time.After(lastWords):
		return nil, fmt.Errorf("the senders got no answer within %v:\n%s", lastWords, d.gateway.Output())
	}
	d.report.Tally = d.senders.Tally()
	stop := func() error {
		ending, cancel := context.WithTimeout(ctx, lastWords)
		defer cancel()
		if err := d.gateway.Stop(ending); err != nil {
			return fmt.Errorf("SIGTERM: %w\n%s", err, d.gateway.Output())
		}
		return nil
	}
	if d.plan.Fleet == nil {
		if err := d.audit(ctx); err != nil {
			return nil, err
		}
		return d.report, stop()
	}
	// What failed is removed when the gateway ends at the latest.
	if err := stop(); err != nil {
		return nil, err
	}
	if err := d.countUploads(); err != nil {
		return nil, err
	}
	return d.report, d.audit(ctx)
}

// countUploads tells uploads that a killed gateway could not abort from those
// that a living one should have.
func (d *drill) countUploads() error {
	began, err := d.plan.Fleet.pending()
	if err != nil {
		return err
	}
	for _, at := range began {
		switch {
		case at.Before(d.report.At): // of somebody who used the store before
		case at.Before(d.killed):
			d.report.Abandoned++
		default:
			d.report.Pending++
		}
	}
	return nil
}

func (d *drill) endedByItself() error {
	return fmt.Errorf("the gateway ended by itself:\n%s", d.gateway.Output())
}

// live lets the load run for a time.
func (d *drill) live(ctx context.Context, span time.Duration) error {
	over := time.NewTimer(span)
	defer over.Stop()
	select {
	case <-over.C:
		return nil
	case <-d.gateway.Ended():
		return d.endedByItself()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitMore waits until the ledger holds more than so many receipts.
func (d *drill) awaitMore(ctx context.Context, than int) error {
	late := time.NewTimer(loadPatience)
	defer late.Stop()
	for {
		n, grown := d.ledger.Len()
		if n > than {
			return nil
		}
		select {
		case <-grown:
		case <-d.gateway.Ended():
			return d.endedByItself()
		case <-late.C:
			return fmt.Errorf("no 250 within %v:\n%s", loadPatience, d.gateway.Output())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// page returns the gateway's metrics.
func (d *drill) page(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.plan.Gateway.Admin+"/metrics", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	return string(page), err
}

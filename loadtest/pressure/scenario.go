// Package pressure lets the consumer behind a fleet of gateways stop and catch
// up under load, and writes down what the senders saw.
package pressure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/process"
	"sluice/loadtest/stack"
	"sluice/pipeline/kafka"
)

// Scenario is a fleet under an even load whose indexer keeps up, is stopped, and comes
// back.
type Scenario struct {
	Gateways []*process.Sluice // running; Config puts the gate into their configuration
	Broker   string
	Topic    string
	Group    string

	Low, High int           // thresholds in records
	Interval  time.Duration // of the gateways' readings
	// StaleAfter and OnStale are the gateways' settings of those names; the zero
	// values are ten intervals and hold.
	StaleAfter time.Duration
	OnStale    string

	Sessions int // offered a second, all gateways together
	// Index are further lines of YAML, with the database of the index. Run needs them.
	Index string

	KeepUp, Halt, CatchUp time.Duration
	Every                 time.Duration // between two samples
}

// Config are the gateways' lines of YAML.
func (s *Scenario) Config() string {
	return fmt.Sprintf("pressure: {lag: {groups: [%s], low_records: %d, high_records: %d, high_age: 0s, interval: %s, stale_after: %s, on_stale: %s}}\n%s",
		s.Group, s.Low, s.High, s.Interval, cmp.Or(s.StaleAfter, 10*s.Interval), cmp.Or(s.OnStale, "hold"), s.Index)
}

// AddGateway starts one more gateway with a folder of its own, and waits until it
// is ready. Broker and Topic are set before, and the topic is there.
func (s *Scenario) AddGateway(ctx context.Context, binary, dir string, store *stack.MinIOServer) (*process.Process, error) {
	g, err := process.NewSluice(binary, dir, process.Fleet)
	if err != nil {
		return nil, err
	}
	g.Events, g.Topic, g.Config = s.Broker, s.Topic, s.Config()
	g.S3 = process.S3{Endpoint: store.Endpoint, Bucket: stack.Bucket, AccessKey: store.AccessKey, SecretKey: store.SecretKey}
	p, err := g.Start(ctx)
	if err != nil {
		return nil, err
	}
	s.Gateways = append(s.Gateways, g)
	return p, nil
}

// Phase is what the indexer does.
type Phase int

// Phases in their order.
const (
	KeepUp Phase = iota
	Halt
	CatchUp
)

// Sample is what was seen between the sample before and At.
type Sample struct {
	At       time.Duration // since the start
	Phase    Phase
	Counts   []Counts  // by gateway
	Fraction []float64 // by gateway, now
	Lag      int64     // now
}

// Run runs the scenario and returns its samples.
func (s *Scenario) Run(ctx context.Context) ([]Sample, error) {
	lag, err := kafka.NewLagReader(kafka.LagOptions{
		Options: kafka.Options{Brokers: []string{s.Broker}, Topic: s.Topic}, Groups: []string{s.Group},
	})
	if err != nil {
		return nil, err
	}
	defer lag.Close()
	indexer, err := s.startIndexer(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { indexer.Kill() }()
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	w := &world{Scenario: s, lag: lag}
	if err := w.awaitOpen(ctx); err != nil {
		return nil, err
	}
	for _, g := range s.Gateways {
		l := &load{gateway: g, every: time.Second * time.Duration(len(s.Gateways)) / time.Duration(s.Sessions), mail: mail()}
		w.loads, w.before = append(w.loads, l), append(w.before, Counts{})
		workers.Go(func() { l.run(ctx) })
	}
	w.began = time.Now()
	for _, phase := range []struct {
		is   Phase
		long time.Duration
	}{{KeepUp, s.KeepUp}, {Halt, s.Halt}, {CatchUp, s.CatchUp}} {
		switch phase.is {
		case Halt:
			err = indexer.Stop(ctx)
		case CatchUp:
			var next *process.Process
			if next, err = s.startIndexer(ctx); err == nil {
				indexer = next
			}
		}
		if err == nil {
			err = w.watch(ctx, phase.is, phase.long)
		}
		if err != nil {
			return w.samples, fmt.Errorf("%w\n%s", err, indexer.Output())
		}
	}
	return w.samples, nil
}

// startIndexer starts an indexer behind the fleet.
func (s *Scenario) startIndexer(ctx context.Context) (*process.Process, error) {
	admin, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	return s.Gateways[0].StartIndexer(ctx, admin)
}

func mail() *client.Mail {
	return &client.Mail{
		From: "sender@example.com", To: []string{"someone@example.net"},
		Content: []byte("Subject: pressure\r\n\r\nHello.\r\n"),
	}
}

// world is a scenario that runs.
type world struct {
	*Scenario
	lag     *kafka.LagReader
	loads   []*load
	before  []Counts
	began   time.Time
	samples []Sample
}

// awaitOpen waits until all gateways know the group and are open.
func (w *world) awaitOpen(ctx context.Context) error {
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		open := true
		for _, g := range w.Gateways {
			seen, err := ReadGate(ctx, g)
			if err != nil {
				return err
			}
			open = open && seen.Fraction == 0 && seen.Readings > 0
		}
		if open {
			return nil
		}
		time.Sleep(w.Interval / 4)
	}
	return errors.Join(ctx.Err(), errors.New("the gateways did not open in a minute"))
}

func (w *world) watch(ctx context.Context, phase Phase, long time.Duration) error {
	end := time.Now().Add(long)
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	for time.Now().Before(end) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		sample := Sample{At: time.Since(w.began), Phase: phase}
		for i, l := range w.loads {
			counts := l.counts()
			sample.Counts = append(sample.Counts, counts.minus(w.before[i]))
			w.before[i] = counts
			seen, err := ReadGate(ctx, w.Gateways[i])
			if err != nil {
				return err
			}
			sample.Fraction = append(sample.Fraction, seen.Fraction)
		}
		read := w.lag.Read(ctx)[0]
		if read.Err != nil {
			return read.Err
		}
		sample.Lag = read.Records
		w.samples = append(w.samples, sample)
	}
	return nil
}

package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/loadtest/stack"
)

// Outage is one server that was stopped and went on (SIGSTOP, SIGCONT).
type Outage struct {
	Victim string  `json:"victim"`
	Paused float64 `json:"paused_seconds"`
	Before float64 `json:"before_per_second"` // 250s, until it was stopped
	During int     `json:"during"`            // 250s, while it was stopped
	// Back is from its return to the first second of as many 250s as before, as
	// far as chance lets that be told: four in five.
	Back   float64 `json:"back_seconds"`
	Within float64 `json:"back_within_seconds"` // the promise about it
	After  float64 `json:"after_per_second"`    // 250s, in the time after that
}

const (
	// recovered is the part of the throughput before that counts as the same.
	recovered = 0.8
	// backPatience bounds the wait for it.
	backPatience = 60 * time.Second
	// backWithin is the promise, unless PauseTimes has another.
	backWithin = 5 * time.Second
	// window is the shortest time over which throughput is told.
	window = time.Second
)

// errNotBack says that throughput did not come back in backPatience.
var errNotBack = errors.New("throughput did not come back")

// Pause stops the servers of a fleet for a time each, under load: the store, then
// the log, or whatever pause names.
func Pause(ctx context.Context, plan Plan, pause PauseTimes) (*Report, error) {
	d, err := begin(ctx, plan)
	if err != nil {
		return nil, err
	}
	defer d.abandon()
	if err := d.awaitMore(ctx, 0); err != nil {
		return nil, err
	}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	w := watch(watching, d)
	victims := pause.Victims
	if victims == nil {
		victims = []string{VictimStore, VictimLog}
	}
	for _, victim := range victims {
		outage, err := d.outage(ctx, victim, pause)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", victim, err)
		}
		d.report.Outages = append(d.report.Outages, outage)
		fmt.Fprintf(plan.Progress, "%s paused for %.0f s: %.0f/s before, %d answered 250 during, back after %.2f s, %.0f/s after\n",
			victim, outage.Paused, outage.Before, outage.During, outage.Back, outage.After)
	}
	cancel()
	d.report.Slowest, d.report.Deadline, d.report.Answers = w.end().Seconds(), pause.Deadline.Seconds(), w.answers.Load()
	return d.end(ctx)
}

// PauseTimes of a drill.
type PauseTimes struct {
	Length time.Duration // of a pause
	Steady time.Duration // over which throughput is told, before and after
	// Recovered is the part of the throughput before that counts as the same, four fifths
	// if 0. It is less where other work comes and goes on the machine.
	Recovered float64
	// Within bounds the time until mail is back, 5 s if 0. It is more beside other work on the
	// processors, which the servers need to come back.
	Within   time.Duration
	Deadline time.Duration // the longest that the gateway, as it is configured, may take for an answer
	Victims  []string      // in their order; nil is the store, then the log
}

func (d *drill) outage(ctx context.Context, victim string, pause PauseTimes) (Outage, error) {
	// What went before may still lie in queues: it is given one window.
	if err := d.live(ctx, window); err != nil {
		return Outage{}, err
	}
	before, err := d.rate(ctx, pause.Steady)
	if err != nil {
		return Outage{}, err
	}
	servers := d.plan.Fleet.servers(victim)
	if err := each(servers, (*stack.Server).Pause); err != nil {
		return Outage{}, err
	}
	stopped := time.Now()
	held, _ := d.ledger.Len()
	err = d.live(ctx, pause.Length)
	o := Outage{Victim: victim, Paused: time.Since(stopped).Seconds(), Before: before, Within: max(pause.Within, backWithin).Seconds()}
	now, _ := d.ledger.Len()
	o.During = now - held
	if err := errors.Join(err, each(servers, (*stack.Server).Resume)); err != nil {
		return o, err
	}
	part := recovered
	if pause.Recovered > 0 {
		part = pause.Recovered
	}
	back, err := d.awaitRate(ctx, part*before)
	if err != nil {
		return o, err
	}
	o.Back = back.Seconds()
	o.After, err = d.rate(ctx, pause.Steady)
	return o, err
}

func each(servers []*stack.Server, do func(*stack.Server) error) error {
	var errs []error
	for _, s := range servers {
		errs = append(errs, do(s))
	}
	return errors.Join(errs...)
}

// rate measures how many 250s a second come in a time.
func (d *drill) rate(ctx context.Context, span time.Duration) (float64, error) {
	before, _ := d.ledger.Len()
	began := time.Now()
	if err := d.live(ctx, span); err != nil {
		return 0, err
	}
	after, _ := d.ledger.Len()
	return float64(after-before) / time.Since(began).Seconds(), nil
}

// awaitRate waits for a window with so many 250s a second and tells how long after
// now it began.
func (d *drill) awaitRate(ctx context.Context, wanted float64) (time.Duration, error) {
	const step = window / 10
	type reading struct {
		at    time.Time
		count int
	}
	began := time.Now()
	var readings []reading
	for time.Since(began) < backPatience {
		count, _ := d.ledger.Len()
		readings = append(readings, reading{time.Now(), count})
		if err := d.live(ctx, step); err != nil {
			return 0, err
		}
		if len(readings) <= int(window/step) {
			continue
		}
		last, first := readings[len(readings)-1], readings[len(readings)-1-int(window/step)]
		if float64(last.count-first.count) >= wanted*last.at.Sub(first.at).Seconds() {
			return first.at.Sub(began), nil
		}
	}
	return 0, fmt.Errorf("%w: %.0f/s within %v", errNotBack, wanted, backPatience)
}

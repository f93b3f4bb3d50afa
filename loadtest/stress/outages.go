package stress

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"sluice/loadtest/drill"
	"sluice/loadtest/process"
)

// Outages are servers behind the gateway that stand still under load, and return.
type Outages struct {
	Victims   []string
	Sessions  int
	Length    time.Duration // of an outage
	Steady    time.Duration // over which throughput is told
	Deadline  time.Duration // timeouts.message, shorter than Length
	Budget    int64         // memory.bodies, in bytes
	Back      time.Duration // after which throughput must be back
	Recovered float64       // as in drill.PauseTimes
}

// Name of the scenario.
func (o Outages) Name() string {
	return fmt.Sprintf("%s stop answering for %v mid-load", strings.Join(o.Victims, ", "), o.Length)
}

// residentAbove is what may be resident above the budget of bodies, in MiB.
const residentAbove = 64

// Run is the drill of pauses with an eye on memory.
func (o Outages) Run(ctx context.Context, env *Env) (*Row, error) {
	folder := filepath.Join(env.Scratch, "outages")
	fleet, err := drill.StartFleet(folder)
	if err != nil {
		return nil, err
	}
	defer fleet.Kill()
	gateway, err := process.NewSluice(env.Binary, filepath.Join(folder, "gateway"), process.Fleet)
	if err != nil {
		return nil, err
	}
	fleet.Use(gateway)
	gateway.Config = fmt.Sprintf("timeouts: {store: %v, message: %v, credit: %v}\nmemory: {bodies: %d}\n",
		o.Deadline/2, o.Deadline, o.Deadline, o.Budget)
	var seen *peaks
	plan := drill.Plan{
		Gateway: gateway, Fleet: fleet, Sessions: o.Sessions, Seed: uint64(time.Now().UnixNano()), Progress: env.Progress,
		Started: func(p *process.Process) { seen = (&instance{gateway, p}).watch(ctx) },
	}
	late := 2 * time.Second // an answer itself comes by the next turn of the timer wheel
	report, err := drill.Pause(ctx, plan, drill.PauseTimes{
		Length: o.Length, Steady: o.Steady, Deadline: o.Deadline + late, Victims: o.Victims, Recovered: o.Recovered,
	})
	if seen != nil {
		_ = seen.stop() // it looked on until the process had ended, and then in vain
	}
	if err != nil {
		return nil, err
	}
	return o.row(report, seen), nil
}

func (o Outages) row(report *drill.Report, seen *peaks) *Row {
	row := &Row{Scenario: o.Name()}
	found := report.Audit
	row.all("every 250 kept", len(report.Receipts)-len(found.Lost)-len(found.Altered), len(report.Receipts))
	row.atMost("s to the slowest answer", report.Slowest, report.Deadline)
	row.atMost("MiB of bodies", seen.metrics[metricBodies]/mib, inMiB(o.Budget))
	row.atMost("MiB resident", inMiB(seen.resident), inMiB(o.Budget)+residentAbove)
	for _, outage := range report.Outages {
		row.atMost("s until throughput is back after "+outage.Victim, outage.Back, o.Back.Seconds())
	}
	row.atMost("uploads left", float64(report.Pending), 0)
	for _, outage := range report.Outages {
		row.note("%s: %.0f/s before, %d answered 250 in %.0f s, %.0f/s after", outage.Victim, outage.Before, outage.During, outage.Paused, outage.After)
	}
	return row
}

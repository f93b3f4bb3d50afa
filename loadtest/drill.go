package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"sluice/loadtest/drill"
	"sluice/loadtest/process"
	"sluice/loadtest/stack"
)

// drillCommand is `loadtest drill`.
type drillCommand struct {
	On       string        `enum:"embedded,fleet,cluster" default:"embedded" help:"What the gateway uses: its embedded parts, or MinIO and Kafka, which are killed in turn with it, or three Kafka brokers, of which one is frozen, one killed and two killed."`
	Rounds   int           `default:"20" help:"How often something is killed."`
	Pause    time.Duration `help:"Kill nothing; stop the store and then the broker of a fleet for so long (SIGSTOP), such as 60s."`
	Away     time.Duration `help:"Kill nothing at random; for so long delete the topic of a fleet, and then kill its broker."`
	Reload   time.Duration `help:"Kill nothing; for so long reload another configuration each second."`
	Verify   time.Duration `help:"Kill no gateway; for so long each stop, slow down, kill and break the resolver by which mail is verified."`
	Indexers time.Duration `help:"Kill no gateway; for so long kill the indexers of a fleet, their database and broker, stop the store, and have members come and go."`
	Mails    int           `help:"Kill nothing; send so many mails of every form, and find each by all that is true of it."`
	Unpacked bool          `help:"Of --mails: store each mail by itself."`
	Sessions int           `default:"50" help:"Sessions at the same time."`
	Seed     uint64        `help:"Draws mails and moments of death; 0 for another one each time."`
	Binary   string        `type:"existingfile" placeholder:"FILE" help:"A sluice binary; without it one is built."`
	Results  string        `default:"bench-results" type:"path" help:"Folder for the report."`
	Keep     bool          `help:"Keep the gateway's folder, with the receipts in it."`
}

// errBroken makes the exit status say what the report says.
var errBroken = errors.New("a promise was broken: see lost, altered and dangling, pending uploads, and what came late, above")

// errNeedsFleet says why --pause, --away or --indexers cannot be done.
var errNeedsFleet = errors.New("--pause, --away and --indexers need --on fleet: an embedded store and log cannot be stopped alone")

// Run does the drill, prints the report and writes it to the folder of results.
func (c *drillCommand) Run(ctx context.Context) error {
	if c.Pause+c.Away+c.Indexers > 0 && process.Kind(c.On) != process.Fleet {
		return errNeedsFleet
	}
	scratch, err := os.MkdirTemp("", "sluice-drill-")
	if err != nil {
		return err
	}
	if c.Keep {
		fmt.Println("everything stays in", scratch)
	} else {
		defer os.RemoveAll(scratch)
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64N(1 << 32)
	}
	binary := c.Binary
	if binary == "" {
		binary = filepath.Join(scratch, "sluice")
		if err := process.Build(ctx, binary); err != nil {
			return err
		}
	}
	gateway, err := process.NewSluice(binary, filepath.Join(scratch, "gateway"), process.Kind(c.On))
	if err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(scratch, "receipts.jsonl"))
	if err != nil {
		return err
	}
	defer file.Close()
	receipts := bufio.NewWriter(file)
	plan := drill.Plan{
		Gateway: gateway, Rounds: c.Rounds, Sessions: c.Sessions, Seed: c.Seed,
		Receipts: receipts, Progress: os.Stderr,
	}
	if gateway.Kind == process.Fleet {
		if plan.Fleet, err = drill.StartFleet(scratch); err != nil {
			return err
		}
		defer plan.Fleet.Kill()
		plan.Fleet.Use(plan.Gateway)
	}
	if c.Verify > 0 {
		if plan.Resolver, err = drill.StartResolver(filepath.Join(scratch, "unbound")); err != nil {
			return err
		}
		defer func() { _ = plan.Resolver.Kill() }() // it ends with us in any case
	}
	if gateway.Kind == process.Cluster {
		brokers, err := stack.StartKafkaCluster(scratch, 3)
		if err != nil {
			return err
		}
		defer brokers.Kill()
		if err := drill.UseCluster(ctx, gateway, brokers); err != nil {
			return err
		}
		plan.Cluster = brokers
	}
	if c.Mails > 0 {
		return c.findMails(ctx, plan)
	}
	report, err := c.do(ctx, plan)
	if err = errors.Join(err, receipts.Flush()); err != nil {
		return err
	}
	fmt.Print(report)
	if err := report.Write(c.Results, c.name(report.At)); err != nil {
		return err
	}
	if !report.OK() {
		return errBroken
	}
	return nil
}

// pauseDeadline is the time from final dot to answer in a pause: shorter than the
// pause, so that the gateway must answer while the server still stands.
const pauseDeadline = 30 * time.Second

// do does what the flags say.
func (c *drillCommand) do(ctx context.Context, plan drill.Plan) (*drill.Report, error) {
	if plan.Cluster != nil {
		return drill.Lose(ctx, plan, []string{drill.LossFrozen, drill.LossKilled, drill.LossTwo})
	}
	if c.Away > 0 {
		return drill.Withhold(ctx, plan, c.Away)
	}
	if c.Indexers > 0 {
		return c.disturbIndexers(ctx, plan)
	}
	if c.Reload > 0 {
		return drill.Reload(ctx, plan, drill.ReloadTimes{Each: time.Second, Length: c.Reload})
	}
	if c.Verify > 0 {
		return drill.Verify(ctx, plan, drill.VerifyTimes{Fault: c.Verify, Health: c.Verify, Settle: 2 * time.Second})
	}
	if c.Pause == 0 {
		return drill.Run(ctx, plan)
	}
	plan.Gateway.Config += fmt.Sprintf("timeouts: {store: %v, message: %v, credit: %v}\n", pauseDeadline/2, pauseDeadline, pauseDeadline)
	// The answer itself comes by the next turn of the timer wheel.
	return drill.Pause(ctx, plan, drill.PauseTimes{Length: c.Pause, Steady: 5 * time.Second, Deadline: pauseDeadline + 2*time.Second})
}

// name is that of the report's files.
func (c *drillCommand) name(at time.Time) string {
	what := "drill-"
	if process.Kind(c.On) != process.Embedded {
		what += c.On + "-"
	}
	if c.Pause > 0 {
		what += "pause-"
	}
	if c.Away > 0 {
		what += "away-"
	}
	if c.Indexers > 0 {
		what += "indexers-"
	}
	if c.Reload > 0 {
		what += "reload-"
	}
	if c.Verify > 0 {
		what += "verify-"
	}
	return what + at.Format("20060102-150405")
}

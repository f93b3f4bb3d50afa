package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"sluice/loadtest/bench"
	"sluice/loadtest/process"
)

// benchCommand is `loadtest bench`.
type benchCommand struct {
	Messages      int           `default:"10000" help:"Messages in one measurement."`
	Rounds        int           `default:"5" help:"Measurements of each server in each mode; the servers take turns."`
	Sessions      int           `default:"50" help:"Sessions at the same time."`
	Size          int           `default:"10240" help:"Bytes in a message's body."`
	Only          []string      `placeholder:"SERVER" help:"Measure these alone: smtp-sink, go-smtp, discard, logged, embedded, fleet, packs, tls, verify, index."`
	LargeSize     int           `default:"67108864" help:"Bytes in a large message, sent to the fleet."`
	LargeMessages int           `default:"32" help:"Large messages in one measurement."` // eight took 2 s: too short for a rate
	LargeSessions int           `default:"4" help:"Large messages at the same time."`
	TLSIdle       int           `default:"4000" help:"Idle sessions with TLS."`
	TLSBulk       int           `default:"256" help:"Messages of 1 MiB over TLS in one measurement."`
	TLSHandshakes int           `default:"4000" help:"Handshakes in one measurement."`
	TLSRest       time.Duration `default:"10s" help:"Time that idle sessions have until their memory is read."`
	VerifyLarge   int           `default:"40" help:"Messages of 10 MiB in one measurement of verification."`
	VerifyTimed   int           `default:"2000" help:"Messages whose answers are timed in one measurement of verification."`
	Binary        string        `type:"existingfile" placeholder:"FILE" help:"A sluice binary to measure; without it one is built."`
	Results       string        `default:"bench-results" type:"path" help:"Folder for the tables."`
}

// Run measures, prints the table and writes it to the folder of results.
func (c *benchCommand) Run(ctx context.Context) error {
	scratch, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	binary := c.Binary
	if binary == "" && c.wantsSluice() {
		binary = filepath.Join(scratch, "sluice")
		if err := process.Build(ctx, binary); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	load := bench.Load{Messages: c.Messages, Sessions: c.Sessions, Size: c.Size}
	contest := bench.Contest{Self: self, Sluice: binary, Scratch: scratch, Only: c.Only, Messages: c.Messages}
	contenders, err := contest.Contenders()
	if err != nil {
		return err
	}
	report, err := bench.Run(ctx, bench.Plan{Load: load, Rounds: c.Rounds, Contenders: contenders, Progress: os.Stderr})
	if err != nil {
		return err
	}
	if c.wants(bench.Fleet) {
		large := bench.LargeLoad{Messages: c.LargeMessages, Sessions: c.LargeSessions, Size: c.LargeSize}
		report.Fleet, err = bench.RunFleet(ctx, bench.FleetPlan{
			Load: load, Large: large, Rounds: c.Rounds, Self: self, Sluice: binary, Scratch: scratch, Progress: os.Stderr,
		})
		if err != nil {
			return fmt.Errorf("fleet: %w", err)
		}
	}
	if c.wants(bench.Packs) {
		report.Packs, err = bench.RunPacks(ctx, bench.PacksPlan{
			Messages: 2 * c.Messages, Rounds: c.Rounds, Size: c.Size, Sluice: binary, Scratch: scratch, Progress: os.Stderr,
		})
		if err != nil {
			return fmt.Errorf("packs: %w", err)
		}
	}
	if c.wants(bench.TLS) {
		report.TLS, err = bench.RunTLS(ctx, bench.TLSPlan{
			Load:   bench.TLSLoad{Bulk: c.TLSBulk, Size: 1 << 20, Handshakes: c.TLSHandshakes, Idle: c.TLSIdle, Open: 100, Beside: 64, Span: 5 * time.Second, Rest: c.TLSRest},
			Rounds: c.Rounds, Self: self, Sluice: binary, Scratch: scratch, Progress: os.Stderr,
			Postfix: havePostfix(), Profile: true,
		})
		if err != nil {
			return fmt.Errorf("tls: %w", err)
		}
	}
	if c.wants(bench.Verify) {
		report.Verify, err = bench.RunVerify(ctx, bench.VerifyPlan{
			Load:   bench.VerifyLoad{Small: load, Large: c.VerifyLarge, Size: 10 << 20, Timed: c.VerifyTimed},
			Rounds: c.Rounds, Sluice: binary, Scratch: scratch, Progress: os.Stderr, Profile: true,
		})
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
	}
	if c.wants(bench.Index) {
		report.Index, err = bench.RunIndex(ctx, bench.IndexPlan{
			Messages: c.Messages, Size: c.Size, Rounds: c.Rounds, Sluice: binary, Scratch: scratch, Progress: os.Stderr, Profile: true,
		})
		if err != nil {
			return fmt.Errorf("index: %w", err)
		}
	}
	fmt.Print(report.Markdown())
	return report.Write(c.Results, "bench-"+time.Now().UTC().Format("20060102-150405"))
}

func (c *benchCommand) wantsSluice() bool {
	return c.wants(bench.Discard) || c.wants(bench.Logged) || c.wants(bench.Embedded) || c.wants(bench.Fleet) || c.wants(bench.Packs) ||
		c.wants(bench.TLS) || c.wants(bench.Verify) || c.wants(bench.Index)
}

func (c *benchCommand) wants(server string) bool {
	return len(c.Only) == 0 || slices.Contains(c.Only, server)
}

// havePostfix reports whether a Postfix can be started: it is there, and we are root.
func havePostfix() bool {
	_, err := exec.LookPath("postfix")
	return err == nil && os.Getuid() == 0
}

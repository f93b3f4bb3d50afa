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

	"sluice/loadtest/child"
	"sluice/loadtest/drill"
)

// drillCommand is `loadtest drill`.
type drillCommand struct {
	Rounds   int    `default:"20" help:"How often the gateway is killed."`
	Sessions int    `default:"50" help:"Sessions at the same time."`
	Seed     uint64 `help:"Draws mails and moments of death; 0 for another one each time."`
	Binary   string `type:"existingfile" placeholder:"FILE" help:"A sluice binary; without it one is built."`
	Results  string `default:"bench-results" type:"path" help:"Folder for the report."`
	Keep     bool   `help:"Keep the gateway's folder, with the receipts in it."`
}

// errBroken makes the exit status say what the report says.
var errBroken = errors.New("a promise was broken: see lost, altered and dangling above")

// Run does the drill, prints the report and writes it to the folder of results.
func (c *drillCommand) Run(ctx context.Context) error {
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
		if err := child.Build(ctx, binary); err != nil {
			return err
		}
	}
	gateway, err := child.NewSluice(binary, filepath.Join(scratch, "gateway"), child.Embedded)
	if err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(scratch, "receipts.jsonl"))
	if err != nil {
		return err
	}
	defer file.Close()
	receipts := bufio.NewWriter(file)
	report, err := drill.Run(ctx, drill.Plan{
		Gateway: gateway, Rounds: c.Rounds, Sessions: c.Sessions, Seed: c.Seed,
		Receipts: receipts, Progress: os.Stderr,
	})
	if err = errors.Join(err, receipts.Flush()); err != nil {
		return err
	}
	fmt.Print(report)
	if err := report.Write(c.Results, "drill-"+time.Now().UTC().Format("20060102-150405")); err != nil {
		return err
	}
	if !report.OK() {
		return errBroken
	}
	return nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"sluice/loadtest/process"
	"sluice/loadtest/stress"
)

// stressCommand is `loadtest stress`.
type stressCommand struct {
	Only    string `placeholder:"REGEXP" help:"Run only the scenarios whose name matches."`
	Small   bool   `help:"The short forms, as the tests run them."`
	Binary  string `type:"existingfile" placeholder:"FILE" help:"A sluice binary; without it one is built."`
	Results string `default:"bench-results" type:"path" help:"Folder for the report."`
}

// errNotHeld makes the exit status say what the table says.
var errNotHeld = errors.New("a promise did not hold: see the table above")

// Run runs the scenarios and prints a table of them. One that cannot be done does
// not keep the others from their turn.
func (c *stressCommand) Run(ctx context.Context) error {
	wanted, err := regexp.Compile(c.Only)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "sluice-stress-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	env := &stress.Env{Binary: c.Binary, Scratch: scratch, Progress: os.Stderr}
	if env.Binary == "" {
		env.Binary = filepath.Join(scratch, "sluice")
		if err := process.Build(ctx, env.Binary); err != nil {
			return err
		}
	}
	scenarios := stress.Long()
	if c.Small {
		scenarios = stress.Short()
	}
	var rows []*stress.Row
	var failed error
	for _, s := range scenarios {
		if !wanted.MatchString(s.Name()) {
			continue
		}
		fmt.Fprintf(env.Progress, "%s …\n", s.Name())
		row, err := s.Run(ctx, env)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s.Name(), err))
			continue
		}
		rows = append(rows, row)
		if !row.Held() {
			failed = errors.Join(failed, errNotHeld)
		}
	}
	fmt.Print(stress.Table(rows))
	return errors.Join(failed, c.write(rows))
}

// write puts the table into the folder of results.
func (c *stressCommand) write(rows []*stress.Row) error {
	if err := os.MkdirAll(c.Results, 0o755); err != nil {
		return err
	}
	name := filepath.Join(c.Results, "stress-"+time.Now().UTC().Format("20060102-150405"))
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(name+".txt", []byte(stress.Table(rows)), 0o644), os.WriteFile(name+".json", append(text, '\n'), 0o644))
}

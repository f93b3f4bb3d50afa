package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sluice/loadtest/stack"
)

// stackCommand is `loadtest stack`.
type stackCommand struct {
	Up     stackUp     `cmd:"" help:"Start MinIO and Kafka, or what --parts names, and leave them running."`
	Down   stackDown   `cmd:"" help:"Stop what up has started. Data stay."`
	Status stackStatus `cmd:"" help:"Show what runs, where, and whether it serves."`
}

// stackFolder is where a standing stack lives.
type stackFolder struct {
	Dir string `default:"sluice-stack" type:"path" help:"Folder for data, logs and pid files."`
}

type stackUp struct {
	stackFolder
	Parts []string `default:"minio,kafka" placeholder:"PART,…" help:"Start these: minio, kafka, postgres, prometheus."`
}

// Run starts the parts and, with a store and a log among them, writes a
// configuration that uses them. When one cannot be started none is left running
// that was not before.
func (c *stackUp) Run(ctx context.Context) error {
	var missing []error
	for _, name := range c.Parts {
		missing = append(missing, stack.Check(c.Dir, name))
	}
	if err := errors.Join(missing...); err != nil {
		return fmt.Errorf("nothing was started:\n%w", err)
	}
	var started []string
	for _, name := range c.Parts {
		did, err := stack.Up(ctx, c.Dir, name)
		if did {
			started = append(started, name)
		}
		if err != nil {
			for _, name := range slices.Backward(started) {
				err = errors.Join(err, stack.Down(context.WithoutCancel(ctx), c.Dir, name))
			}
			return err
		}
	}
	for _, part := range stack.Parts() {
		if slices.Contains(c.Parts, part.Name) {
			fmt.Printf("%-11s %s\n", part.Name, part.Address)
		}
	}
	if !slices.Contains(c.Parts, "minio") || !slices.Contains(c.Parts, "kafka") {
		return nil
	}
	file := filepath.Join(c.Dir, "sluice.yaml")
	if err := os.WriteFile(file, []byte(stackConfig(filepath.Join(c.Dir, "sluice-data"))), 0o600); err != nil {
		return err
	}
	if shorter, err := relative(file); err == nil {
		file = shorter
	}
	fmt.Printf("\nbucket %s and topic %s are there. Start Sluice on them (make build makes bin/sluice):\n\n  bin/sluice --config %s\n",
		stack.Bucket, stack.Topic, shellWord(file))
	return nil
}

// shellWord quotes a path for the shell where that is needed.
func shellWord(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// stackConfig is a configuration that takes mail for anybody on loopback, with the
// store and the log of a standing stack.
func stackConfig(data string) string {
	return fmt.Sprintf(`# Written by "loadtest stack up". Taking mail for anybody is for loopback alone.
listeners: [{address: "127.0.0.1:2525"}]
accept: {any: true}
data_dir: %q
trusted_networks: [127.0.0.0/8] # a load from one address is no attack here
store:
  kind: s3
  s3: {endpoint: %q, secure: false, bucket: %s, credentials: static, access_key: %s, secret_key: %s}
events:
  kind: kafka
  topic: %s
  kafka: {brokers: [%q]}
`, data, stack.Parts()[0].Address, stack.Bucket, stack.MinIOAccessKey, stack.MinIOSecretKey, stack.Topic, stack.Parts()[1].Address)
}

// relative returns a path as it is from here, when that is below.
func relative(path string) (string, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	short, err := filepath.Rel(here, path)
	if err != nil || strings.HasPrefix(short, "..") {
		return path, err
	}
	return short, nil
}

type stackDown struct{ stackFolder }

// Run stops the parts, the last one first.
func (c *stackDown) Run(ctx context.Context) error {
	var errs []error
	for _, part := range slices.Backward(stack.Parts()) {
		errs = append(errs, stack.Down(ctx, c.Dir, part.Name))
	}
	return errors.Join(errs...)
}

type stackStatus struct{ stackFolder }

var errNotServing = errors.New("a part that was started does not serve")

// Run prints a line for each part. A part that runs and does not serve is an
// error.
func (c *stackStatus) Run(ctx context.Context) error {
	var failed error
	for _, part := range stack.Parts() {
		pid, err := stack.Status(ctx, c.Dir, part.Name)
		state := "serves"
		switch {
		case err != nil:
			state, failed = err.Error(), errNotServing
		case pid == 0:
			state = "down"
		}
		fmt.Printf("%-11s %-15s pid %-7d %s\n", part.Name, part.Address, pid, state)
	}
	return failed
}

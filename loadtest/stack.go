package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sluice/loadtest/stack"
)

// stackCommand is `loadtest stack`.
type stackCommand struct {
	Up     stackUp     `cmd:"" help:"Start MinIO, Kafka, PostgreSQL and Prometheus, and leave them running."`
	Down   stackDown   `cmd:"" help:"Stop what up has started. Data stay."`
	Status stackStatus `cmd:"" help:"Show what runs, where, and whether it serves."`
}

// stackFolder is where a standing stack lives.
type stackFolder struct {
	Dir string `default:"sluice-stack" type:"path" help:"Folder for data, logs and pid files."`
}

type stackUp struct {
	stackFolder
	Parts []string `placeholder:"PART,…" help:"Start only these: minio, kafka, postgres, prometheus."`
}

// Run starts the parts. One that nobody named and that is not installed is only
// mentioned.
func (c *stackUp) Run(ctx context.Context) error {
	for _, part := range stack.Parts() {
		if len(c.Parts) > 0 && !slices.Contains(c.Parts, part.Name) {
			continue
		}
		err := stack.Up(ctx, c.Dir, part.Name)
		switch {
		case err == nil:
			fmt.Printf("%-11s %s\n", part.Name, part.Address)
		case len(c.Parts) == 0 && stack.Absent(err):
			fmt.Printf("%-11s left out: %v\n", part.Name, err)
		default:
			return err
		}
	}
	if len(c.Parts) > 0 {
		return nil
	}
	fmt.Printf(`
bucket %s and topic %s are there; to use them:

  store:
    kind: s3
    s3: {endpoint: %q, secure: false, bucket: %s, credentials: static, access_key: %s, secret_key: %s}
  events:
    kind: kafka
    kafka: {brokers: [%q]}
`, stack.Bucket, stack.Topic, stack.Parts()[0].Address, stack.Bucket, stack.MinIOAccessKey, stack.MinIOSecretKey,
		stack.Parts()[1].Address)
	return nil
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

// Command sluice is an event-loop SMTP gateway: it streams every message into
// an object store, publishes one event for it, and answers 250 only when both
// are durable.
package main

import (
	"context"
	"io"
	"os"

	"sluice/gateway/config"
)

// Exit codes. Those above 1 mean that trying again without a change is of no
// use.
const (
	exitOK      = 0
	exitFailure = 1  // it ran, or tried to, and failed; also: healthcheck says no
	exitUsage   = 2  // the command line
	exitConfig  = 78 // the configuration (EX_CONFIG of sysexits.h)
)

func main() {
	os.Exit(world{env: os.Environ(), out: os.Stdout, err: os.Stderr, serve: serve}.run(os.Args[1:]))
}

// world is what commands touch, so that tests run them in-process.
type world struct {
	env   []string
	out   io.Writer
	err   io.Writer
	serve func(ctx context.Context, c config.Config, out io.Writer) error
}

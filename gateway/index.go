package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"sluice/gateway/config"
	"sluice/gateway/server"
)

// runIndex fills the index until it is told to end.
func runIndex(c *config.Config, out io.Writer) error {
	signal.Ignore(syscall.SIGPIPE) // the reader of our output may go away
	return server.Index(context.Background(), server.IndexerOptions{Config: *c, Out: out, Program: os.Args[0], Build: build()})
}

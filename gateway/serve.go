package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"sluice/gateway/config"
	"sluice/gateway/server"
)

// serve runs the gateway until it is told to end.
func serve(ctx context.Context, cfg config.Config, from config.Sources, out io.Writer) error {
	// The reader of our output may go away. That is an error of a write and must not end
	// the process.
	signal.Ignore(syscall.SIGPIPE)
	s, err := server.New(server.Options{Config: cfg, Sources: from, Out: out, Program: os.Args[0], Build: build()})
	if err != nil {
		return err
	}
	return errors.Join(s.Run(ctx), s.Close())
}

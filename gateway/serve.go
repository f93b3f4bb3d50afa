package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"sluice/gateway/server"
)

// serve runs the gateway until it is told to end.
func serve(ctx context.Context, o server.Options) error {
	// The reader of our output may go away. That is an error of a write and must not end
	// the process.
	signal.Ignore(syscall.SIGPIPE)
	o.Program, o.Build = os.Args[0], build()
	s, err := server.New(o)
	if err != nil {
		return err
	}
	return errors.Join(s.Run(ctx), s.Close())
}

package main

import (
	"context"
	"net"

	"sluice/loadtest/bench"
	"sluice/loadtest/peers"
)

// peerCommand runs one of the servers that Sluice is compared with.
type peerCommand struct {
	GoSMTP goSMTPCommand `cmd:"" name:"go-smtp" help:"A server made with emersion/go-smtp that reads mail and keeps nothing."`
	Stream streamCommand `cmd:"" help:"A sender without SMTP: it writes a large message to whoever connects."`
}

type goSMTPCommand struct {
	Listen string `required:"" placeholder:"ADDRESS" help:"Where to listen, host:port."`
}

// Run serves until ctx ends.
func (c *goSMTPCommand) Run(ctx context.Context) error {
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	return peers.ServeGoSMTP(ctx, listener)
}

type streamCommand struct {
	Listen string `required:"" placeholder:"ADDRESS" help:"Where to listen, host:port."`
	Size   int    `required:"" help:"Size of the message in bytes."`
}

// Run serves until ctx ends.
func (c *streamCommand) Run(ctx context.Context) error {
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	return peers.ServeStream(ctx, listener, string(bench.LargeContent(c.Size)))
}

package main

import (
	"context"
	"net"

	"sluice/loadtest/peers"
)

// peerCommand runs one of the servers that Sluice is compared with.
type peerCommand struct {
	GoSMTP goSMTPCommand `cmd:"" name:"go-smtp" help:"A server made with emersion/go-smtp that reads mail and keeps nothing."`
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

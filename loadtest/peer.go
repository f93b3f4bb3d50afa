package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"sluice/loadtest/bench"
	"sluice/loadtest/peers"
)

// peerCommand runs one of the servers that Sluice is compared with.
type peerCommand struct {
	GoSMTP goSMTPCommand `cmd:"" name:"go-smtp" help:"A server made with emersion/go-smtp that reads mail and keeps nothing."`
	Stream streamCommand `cmd:"" help:"A sender without SMTP: it writes a large message to whoever connects."`
	Hands  handsCommand  `cmd:"" help:"Clients that shake hands by TLS, again and again, until they are ended; then it says how often."`
}

type goSMTPCommand struct {
	Listen   string `required:"" placeholder:"ADDRESS" help:"Where to listen, host:port."`
	CertFile string `type:"existingfile" placeholder:"FILE" help:"A certificate: TLS from the first byte on."`
	KeyFile  string `type:"existingfile" placeholder:"FILE" help:"Its key."`
}

// Run serves until ctx ends.
func (c *goSMTPCommand) Run(ctx context.Context) error {
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return err
		}
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}})
	}
	return peers.ServeGoSMTP(ctx, listener)
}

type handsCommand struct {
	Server string `required:"" placeholder:"ADDRESS" help:"Whose hands, host:port."`
	AtOnce int    `default:"64" help:"Handshakes at the same time."`
}

// Run shakes hands until ctx ends.
func (c *handsCommand) Run(ctx context.Context) error {
	done, err := bench.ShakeHands(ctx, c.Server, c.AtOnce)
	fmt.Println(done)
	return err
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

// Command loadtest puts load and faults on Sluice from outside and reports what
// it saw: run it with --help, from the root of the module.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type commands struct {
	Bench    benchCommand    `cmd:"" help:"Compare Sluice with smtp-sink and a go-smtp server under the same load."`
	Drill    drillCommand    `cmd:"" help:"Kill Sluice under load, again and again, then look for every message it has acknowledged."`
	Pressure pressureCommand `cmd:"" help:"Let the indexer behind a fleet stop and come back under load, and draw what senders saw."`
	Stress   stressCommand   `cmd:"" help:"Put Sluice under loads that it must outlive within bounds, and measure whether it does."`
	Send     sendCommand     `cmd:"" help:"Send mails and write down every 250 with its id."`
	Stack    stackCommand    `cmd:"" help:"Start, look at and stop the servers that Sluice uses."`
	Peer     peerCommand     `cmd:"" help:"Run a server to compare with."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command := kong.Parse(&commands{},
		kong.Name("loadtest"),
		kong.Description("Load, peers and fault drills for Sluice. Everything runs on this machine's loopback."),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	command.FatalIfErrorf(command.Run())
}

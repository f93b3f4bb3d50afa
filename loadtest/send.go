package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"sluice/loadtest/client"
)

// sendCommand is `loadtest send`: the recording client by itself.
type sendCommand struct {
	Address  string        `arg:"" help:"Where to send, host:port."`
	Messages int64         `default:"1000" help:"Mails to send; 0 sends until it is ended."`
	Sessions int           `default:"50" help:"Sessions at the same time."`
	Seed     uint64        `default:"1" help:"Draws the mails."`
	Patience time.Duration `default:"1m" help:"How long to try for the last mails when it is ended."`
}

// Run sends, with a JSON line on stdout for each 250. Interrupted, it finishes
// the mails that it has begun.
func (c *sendCommand) Run(ctx context.Context) error {
	ledger := client.NewLedger(os.Stdout)
	senders := &client.Senders{
		Address: c.Address, Sessions: c.Sessions, Seed: c.Seed, Limit: c.Messages,
		Compose: client.Composer{Seed: c.Seed}.Compose, Ledger: ledger,
	}
	sending, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(c.Patience, giveUp) })
	defer stop()
	began := time.Now()
	senders.Run(sending, ctx)
	receipts, err := ledger.Receipts()
	tally := senders.Tally()
	fmt.Fprintf(os.Stderr, "%d answered 250 in %.1f s; sent again: %d unanswered, %d refused, %d broken off\n",
		len(receipts), time.Since(began).Seconds(), tally.Unanswered, tally.Refused, tally.Broken)
	return err
}

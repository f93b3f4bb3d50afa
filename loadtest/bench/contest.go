// Package bench measures SMTP servers under the same load, taking turns on one
// machine, and says how they compare.
package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sluice/loadtest/process"
)

// Names of the servers that are compared.
const (
	Sink     = "smtp-sink"
	GoSMTP   = "go-smtp"
	Discard  = "discard"  // Sluice that keeps nothing
	Logged   = "logged"   // the same, with a log line for each message
	Embedded = "embedded" // Sluice with its embedded store and event log
)

// Contender is a server that can be started. Start waits until it serves; the
// process is ended by whoever asked for it.
type Contender struct {
	Name  string
	Title string
	Start func(ctx context.Context) (p *process.Process, address string, err error)
}

// Contest says what the contenders are made of.
type Contest struct {
	Self     string // this program, which is also the go-smtp peer
	Sluice   string // the gateway's binary
	Scratch  string // a folder for configurations and data
	Only     []string
	Messages int // of one measurement
}

// Contenders are the servers to compare, smtp-sink first: it is the measure.
func (f *Contest) Contenders() ([]Contender, error) {
	all := []Contender{
		{Sink, "smtp-sink (Postfix)", f.startSink},
		{GoSMTP, "go-smtp", f.startGoSMTP},
		{Discard, "Sluice, discard", f.startSluice(process.Discard, "off")},
		{Logged, "Sluice, discard, log.messages: all", f.startSluice(process.Discard, "all")},
		{Embedded, "Sluice, embedded (durable)", f.startSluice(process.Embedded, "off")},
	}
	if len(f.Only) == 0 {
		return all, nil
	}
	var chosen []Contender
	for _, c := range all {
		if slices.Contains(f.Only, c.Name) {
			chosen = append(chosen, c)
		}
	}
	asked := len(f.Only)
	for _, alone := range []string{Fleet, Packs, TLS, Verify, Index} { // measured by themselves: RunFleet, RunPacks …
		if slices.Contains(f.Only, alone) {
			asked--
		}
	}
	if len(chosen) != asked {
		return nil, fmt.Errorf("unknown server among %s", strings.Join(f.Only, ", "))
	}
	return chosen, nil
}

func (f *Contest) startSink(ctx context.Context) (*process.Process, string, error) {
	address, err := process.FreeAddress()
	if err != nil {
		return nil, "", err
	}
	args := []string{"-m", "1000", address, "1000"}
	if os.Getuid() == 0 {
		args = append([]string{"-u", "nobody"}, args...) // it refuses to stay root
	}
	return listening(ctx, address, "smtp-sink", args...)
}

func (f *Contest) startGoSMTP(ctx context.Context) (*process.Process, string, error) {
	address, err := process.FreeAddress()
	if err != nil {
		return nil, "", err
	}
	return listening(ctx, address, f.Self, "peer", "go-smtp", "--listen", address)
}

// startStream starts the sender of a raw stream of large messages.
func startStream(ctx context.Context, plan FleetPlan) (*process.Process, string, error) {
	address, err := process.FreeAddress()
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	return listening(ctx, address, plan.Self, "peer", "stream", "--listen", address, "--size", strconv.Itoa(plan.Large.Size))
}

func listening(ctx context.Context, address, name string, args ...string) (*process.Process, string, error) {
	p, err := process.Start(name, args...)
	if err != nil {
		return nil, "", err
	}
	if err := p.AwaitListening(ctx, address); err != nil {
		p.Kill()
		return nil, "", err
	}
	return p, address, nil
}

func (f *Contest) startSluice(kind process.Kind, messages string) func(context.Context) (*process.Process, string, error) {
	return func(ctx context.Context) (*process.Process, string, error) {
		dir := filepath.Join(f.Scratch, string(kind))
		if err := os.RemoveAll(dir); err != nil {
			return nil, "", err
		}
		gateway, err := process.NewSluice(f.Sluice, dir, kind)
		if err != nil {
			return nil, "", err
		}
		// All messages of a measurement may come over few connections.
		gateway.Config = fmt.Sprintf("limits: {messages: %d}\nlog: {format: json, messages: %s}\n", max(1000, f.Messages), messages)
		p, err := gateway.Start(ctx)
		return p, gateway.SMTP, err
	}
}

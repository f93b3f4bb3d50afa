package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/loadtest/process"
)

// gatewayBinary is the gateway that the end-to-end tests start.
var gatewayBinary string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "peer" { // a benchmark starts its peers by our own program
		main()
		return
	}
	flag.Parse()
	// Postfix's tools live there, and an ordinary user's PATH may lack it.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	gatewayBinary = filepath.Join(dir, "sluice")
	if !testing.Short() {
		if err := process.Build(context.Background(), gatewayBinary, buildFlags...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return shared.Run(m)
}

// needs ends a test whose tools are not there, as testkit.Missing does.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("end to end")
	}
	for _, tool := range tools {
		testkit.Tool(t, tool)
	}
}

// gatewayMaker prepares a gateway for one test.
type gatewayMaker func(*testing.T) *process.Sluice

// newGateway prepares a gateway with the embedded default in a folder of the test.
func newGateway(t *testing.T) *process.Sluice {
	t.Helper()
	gateway, err := process.NewSluice(gatewayBinary, t.TempDir(), process.Embedded)
	if err != nil {
		t.Fatal(err)
	}
	return gateway
}

// startGateway starts it; at the test's end it must still live, go when it is
// told to, and have seen no data race.
func startGateway(t *testing.T, gateway *process.Sluice, wrapper ...string) *process.Process {
	t.Helper()
	starting, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := gateway.Start(starting, wrapper...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endGateway(t, p) })
	return p
}

func endGateway(t *testing.T, p *process.Process) {
	select {
	case <-p.Ended(): // the test has ended it
	default:
		ending, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := p.Stop(ending); err != nil {
			t.Errorf("SIGTERM: %v", err)
		}
	}
	if t.Failed() || strings.Contains(p.Output(), "DATA RACE") {
		t.Errorf("the gateway printed:\n%s", p.Output())
	}
}

// command runs a client to its end and gives what it printed.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// exitCode is the status that a process ended with.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	default:
		return -1
	}
}

package process

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// What CPU reads while a process lives is what wait4 says when it has ended.
func TestCPUIsRusage(t *testing.T) {
	// The shell works, says so, and waits for its input to close.
	p, err := Start("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo worked; exec sleep 60")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	if err := p.await(t.Context(), "not done", func() bool { return strings.Contains(p.Output(), "worked") }); err != nil {
		t.Fatal(err)
	}
	live, err := p.CPU()
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if live < time.Millisecond {
		t.Errorf("a hundred thousand steps in %v", live)
	}
	// Starting sleep and dying cost something more.
	if ended := p.Rusage(); ended < live-time.Millisecond || ended > live+50*time.Millisecond {
		t.Errorf("%v by its clock, %v by wait4", live, ended)
	}
}

func TestAwaitTellsWhyItEnded(t *testing.T) {
	p, err := Start("sh", "-c", "echo no such thing >&2; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	address, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	err = p.AwaitListening(t.Context(), address)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(err.Error(), "no such thing") {
		t.Error(err)
	}
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	p, err := Start("sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.await(t.Context(), "not started", func() bool { return strings.Contains(p.Output(), "deaf") }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	<-p.Ended()
}

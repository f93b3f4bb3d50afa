package main

import (
	"context"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/loadtest/client"
	"sluice/loadtest/process"
)

// The kernel would let a second process listen on the same port and share its
// connections (SO_REUSEPORT): Sluice must not.
func TestSecondProcessOnPort(t *testing.T) {
	t.Parallel()
	needs(t)
	first := newGateway(t)
	startGateway(t, first)
	second := newGateway(t)
	second.SMTP = first.SMTP
	args, err := second.Args()
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.Start(second.Binary, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	waiting, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if code := exitCode(p.Wait(waiting)); code <= 0 {
		t.Errorf("the second process ended with %d", code)
	}
	if said := p.Output(); !strings.Contains(said, first.SMTP) || !strings.Contains(said, "in use") {
		t.Errorf("it does not say what is wrong:\n%s", said)
	}
}

// A transaction that is in flight when the gateway is told to go finishes, with
// its message stored; nothing new begins.
func TestSIGTERMDrains(t *testing.T) {
	t.Parallel()
	needs(t)
	gateway := newGateway(t)
	p := startGateway(t, gateway)
	mail := &client.Mail{From: "sender@example.org", To: []string{"recipient@example.net"}}
	busy, err := client.Dial(t.Context(), gateway.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if err := busy.Begin(mail); err != nil {
		t.Fatal(err)
	}
	const firstHalf, secondHalf = "Subject: drain\r\n\r\nfirst half\r\n", "second half\r\n"
	if err := busy.Write(firstHalf); err != nil {
		t.Fatal(err)
	}
	records := len(topic(t, gateway))
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it is not ready any more", func() bool { return !ready(gateway) })
	if c, err := client.Dial(t.Context(), gateway.SMTP); err == nil {
		if err := c.Begin(mail); err == nil {
			t.Error("a transaction began after SIGTERM")
		}
		c.Close()
	}
	select {
	case <-p.Ended():
		t.Fatal("it ended with a transaction in flight")
	default:
	}
	receipt, err := busy.Finish([]byte(secondHalf))
	if err != nil {
		t.Fatalf("the transaction in flight: %v", err)
	}
	ending, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := p.Wait(ending); err != nil {
		t.Errorf("exit: %v", err)
	}
	if records != 0 {
		t.Errorf("%d events before the message", records)
	}
	// What was promised is found by the next life.
	startGateway(t, gateway)
	messages, _ := inventory(t, gateway)
	if got := string(messages[receipt.ID]); got != firstHalf+secondHalf || len(messages) != 1 {
		t.Errorf("%d messages; stored %q", len(messages), got)
	}
}

func ready(gateway *process.Sluice) bool {
	reply, err := http.Get("http://" + gateway.Admin + "/readyz")
	if err != nil {
		return false
	}
	reply.Body.Close()
	return reply.StatusCode == http.StatusOK
}

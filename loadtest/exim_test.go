package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/testkit"
	"sluice/loadtest/peers"
	"sluice/loadtest/stack"
)

// A real Exim sends its final dot and QUIT together and shuts its half down at once.
// It has its 250 at the first attempt, and each mail is announced once.
func TestEximDelivers(t *testing.T) {
	t.Parallel()
	needs(t, "sh")
	testkit.Root(t, "Exim starts only as root")
	binary, err := stack.Installed(filepath.Join("exim", "usr", "sbin", "exim4"))
	if err != nil {
		t.Fatal(err)
	}
	gateway := newGateway(t)
	startGateway(t, gateway)
	dir, err := os.MkdirTemp("", "sluice-exim-") // t.TempDir is closed to Exim's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	exim := &peers.Exim{Binary: binary, Dir: dir, Relay: gateway.SMTP}
	if err := exim.Prepare(); err != nil {
		t.Fatal(err)
	}
	const mails = 5
	for n := range mails {
		mail := fmt.Sprintf("From: a@example.org\nTo: b@example.net\nSubject: %d\n\n%s\n", n, strings.Repeat("text\n", n*1000))
		if err := exim.Send(t.Context(), "a@example.org", "b@example.net", mail); err != nil {
			t.Fatal(err)
		}
	}
	log := exim.Log()
	if sent := strings.Count(log, `C="250 2.0.0 Ok `); sent != mails || strings.Contains(log, "defer") {
		t.Errorf("%d of %d were delivered at the first attempt:\n%s", sent, mails, log)
	}
	if events := len(topic(t, gateway)); events != mails {
		t.Errorf("%d events, want %d", events, mails)
	}
}

package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/drill"
	"sluice/loadtest/process"
)

// The short form of the drill, and proof that its audit notices what it is for.
func TestDrillShort(t *testing.T) {
	needs(t)
	gateway := newGateway(t)
	report, err := drill.Run(t.Context(), drill.Plan{
		Gateway: gateway, Rounds: 3, Sessions: 50, Seed: uint64(time.Now().UnixNano()), Progress: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report)
	if !report.OK() {
		t.Fatal("a promise was broken")
	}
	if len(report.Receipts) < 100 || report.Tally.Unanswered+report.Tally.Broken == 0 {
		t.Errorf("that was no load: %d receipts, sent again %+v", len(report.Receipts), report.Tally)
	}
	// Whatever nobody was told of must be a message that went unanswered.
	if untold := int64(len(report.Audit.Duplicates)); untold > report.Tally.Unanswered {
		t.Errorf("%d duplicates, but only %d final dots went unanswered", untold, report.Tally.Unanswered)
	}
	startGateway(t, gateway)
	auditNotices(t, gateway, append(report.Receipts, alone(t, gateway), alone(t, gateway)))
}

// The short form of the drill with reloads.
func TestReloadDrillShort(t *testing.T) {
	needs(t)
	report, err := drill.Reload(t.Context(), drill.Plan{
		Gateway: newGateway(t), Sessions: 2, Seed: uint64(time.Now().UnixNano()), Progress: t.Output(),
	}, drill.ReloadTimes{Each: 200 * time.Millisecond, Length: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report)
	if !report.OK() {
		t.Fatal("a promise was broken")
	}
}

// The short form of the drill of verification.
func TestVerifyDrillShort(t *testing.T) {
	t.Parallel()
	needs(t, "unbound")
	resolver, err := drill.StartResolver(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := resolver.Kill(); err != nil {
			t.Error(err)
		}
	})
	report, err := drill.Verify(t.Context(), drill.Plan{
		Gateway: newGateway(t), Resolver: resolver, Rounds: 1, Sessions: 2, Seed: uint64(time.Now().UnixNano()), Progress: t.Output(),
	}, drill.VerifyTimes{
		Fault: 2500 * time.Millisecond, Health: 200 * time.Millisecond, Settle: time.Second, // one server has 2 s
		Faults: []string{drill.FaultKilled, drill.FaultSlow},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report)
	if !report.OK() {
		t.Fatal("a promise was broken")
	}
}

// alone sends a message beside which there is no other, so that its object is its own.
func alone(t *testing.T, gateway *process.Sluice) client.Receipt {
	t.Helper()
	c, err := client.Dial(t.Context(), gateway.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := c.Send(&client.Mail{From: "sender@example.org", To: []string{"recipient@example.net"}, Content: []byte("Subject: x\r\n\r\nx\r\n")})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(); err != nil {
		t.Fatal(err)
	}
	return receipt
}

// auditNotices breaks the last two messages, each in an object of its own.
func auditNotices(t *testing.T, gateway *process.Sluice, receipts []client.Receipt) {
	t.Helper()
	removed, altered := receipts[len(receipts)-2], receipts[len(receipts)-1]
	if err := os.Remove(objectOf(t, gateway, removed.ID)); err != nil {
		t.Fatal(err)
	}
	path := objectOf(t, gateway, altered.ID)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	invented := client.Receipt{ID: "01a20a19-c3a2-7000-8000-000000000000"}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	found, err := drill.Audit(ctx, gateway, append(receipts, invented))
	if err != nil {
		t.Fatal(err)
	}
	lost := map[string]bool{}
	for _, finding := range found.Lost {
		lost[finding.ID] = true
	}
	if len(lost) != 2 || !lost[removed.ID] || !lost[invented.ID] {
		t.Errorf("lost: %v", found.Lost)
	}
	if len(found.Altered) != 1 || found.Altered[0].ID != altered.ID || found.OK() {
		t.Errorf("altered: %v", found.Altered)
	}
}

func objectOf(t *testing.T, gateway *process.Sluice, id string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(gateway.StoreDir(), "*", "*", "*", "*", id+".eml"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("%s: %v %v", id, paths, err)
	}
	return paths[0]
}

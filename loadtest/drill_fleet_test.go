package main

import (
	"testing"
	"time"

	"sluice/loadtest/drill"
	"sluice/loadtest/process"
)

// fleetPlan is a short drill on a topic and a bucket of its own.
func fleetPlan(t *testing.T, sessions int) drill.Plan {
	t.Helper()
	needs(t, "java")
	gateway, err := process.NewSluice(gatewayBinary, t.TempDir(), process.Fleet)
	if err != nil {
		t.Fatal(err)
	}
	fleet := &drill.Fleet{}
	fleet.Store, fleet.Log = servers(t)
	fleet.Use(gateway)
	gateway.Topic, gateway.S3.Bucket = ownNames()
	return drill.Plan{
		Gateway: gateway, Fleet: fleet, Sessions: sessions, Seed: uint64(time.Now().UnixNano()), Progress: t.Output(),
	}
}

// One kill of each victim.
func TestFleetDrillShort(t *testing.T) {
	plan := fleetPlan(t, 30)
	plan.Rounds = 3
	report, err := drill.Run(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report)
	if !report.OK() {
		t.Fatal("a promise was broken")
	}
	if len(report.Receipts) < 100 || report.Tally.Unanswered+report.Tally.Refused+report.Tally.Broken == 0 {
		t.Errorf("that was no load: %d receipts, sent again %+v", len(report.Receipts), report.Tally)
	}
}

// The store and the broker stand still for longer than the gateway may wait for
// them.
func TestFleetPauseShort(t *testing.T) {
	plan := fleetPlan(t, 30)
	plan.Gateway.Config = "timeouts: {store: 1500ms, message: 3s, credit: 3s}\n"
	// Beside the other tests the rate varies between 80 and 240 messages a second, so that a
	// fifth of it says that mail is back. The drill alone asks for four fifths.
	report, err := drill.Pause(t.Context(), plan, drill.PauseTimes{Length: 5 * time.Second, Steady: 2 * time.Second, Deadline: 5 * time.Second, Recovered: 0.2, Within: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report)
	if !report.OK() {
		t.Fatal("a promise was broken")
	}
	if report.Tally.Refused == 0 {
		t.Error("nothing was refused while a server stood still")
	}
}

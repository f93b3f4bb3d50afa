package main

import (
	"os"
	"testing"
	"time"

	"sluice/loadtest/bench"
)

// TestTLSBenchShort measures Sluice and go-smtp with TLS once, with a load that proves
// nothing but that each figure is measured.
func TestTLSBenchShort(t *testing.T) {
	needs(t)
	self, err := os.Executable() // see TestMain
	if err != nil {
		t.Fatal(err)
	}
	report, err := bench.RunTLS(t.Context(), bench.TLSPlan{
		Load:   bench.TLSLoad{Bulk: 4, Size: 100_000, Handshakes: 5, Idle: 10, Open: 3, Beside: 3, Span: 200 * time.Millisecond, Rest: 100 * time.Millisecond},
		Rounds: 1, Self: self, Sluice: gatewayBinary, Scratch: t.TempDir(), Progress: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range report.Rows {
		if len(row.Values) != 1 || row.Values[0] == 0 {
			t.Errorf("%s of %s: %v", row.What, row.Server, row.Values)
		}
	}
	if len(report.Rows) != 12 {
		t.Errorf("%d rows", len(report.Rows))
	}
}

// TestVerifyBenchShort measures Sluice with and without verification once, with a load that
// proves nothing but that each figure is measured, and that all of its mail passes.
func TestVerifyBenchShort(t *testing.T) {
	needs(t, "unbound")
	report, err := bench.RunVerify(t.Context(), bench.VerifyPlan{
		Load:   bench.VerifyLoad{Small: bench.Load{Messages: 10, Sessions: 2, Size: 10 << 10}, Large: 1, Size: 6 << 20, Timed: 10},
		Rounds: 1, Sluice: gatewayBinary, Scratch: t.TempDir(), Progress: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range report.Rows {
		if len(row.Values) != 1 || row.Values[0] == 0 {
			t.Errorf("%s, verification %s: %v", row.What, row.Server, row.Values)
		}
	}
	if len(report.Rows) != 14 {
		t.Errorf("%d rows", len(report.Rows))
	}
}

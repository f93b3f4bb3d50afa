package metrics

import (
	"strings"
	"testing"
)

// has fails the test unless the page contains sample.
func has(t *testing.T, m *Metrics, sample string) {
	t.Helper()
	if !strings.Contains(scrape(t, m), "\n"+sample+"\n") {
		t.Errorf("no %s", sample)
	}
}

func TestPressureIsAStateSet(t *testing.T) {
	m := testMetrics()
	has(t, m, `sluice_pressure_cause{cause="open",class="default"} 1`)
	m.Pressure("default", 0.25, "lag_age")
	has(t, m, `sluice_pressure_fraction{class="default"} 0.25`)
	has(t, m, `sluice_pressure_cause{cause="lag_age",class="default"} 1`)
	has(t, m, `sluice_pressure_cause{cause="lag_records",class="default"} 0`)
	has(t, m, `sluice_pressure_cause{cause="open",class="default"} 0`)
	has(t, m, `sluice_pressure_cause{cause="open",class="own"} 1`)
}

// TestUnknownLagIsNoNumber checks that an unknown lag is NaN and never 0.
func TestUnknownLagIsNoNumber(t *testing.T) {
	m := testMetrics()
	has(t, m, `sluice_lag_records{group="indexer"} NaN`)
	m.LagRead("indexer", 7, 1.5)
	has(t, m, `sluice_lag_records{group="indexer"} 7`)
	has(t, m, `sluice_lag_age_seconds{group="indexer"} 1.5`)
	m.LagNotRead("indexer", "failed")
	has(t, m, `sluice_lag_records{group="indexer"} 7`)
	m.LagNotRead("indexer", "unknown_group")
	has(t, m, `sluice_lag_records{group="indexer"} NaN`)
	has(t, m, `sluice_lag_age_seconds{group="indexer"} NaN`)
	has(t, m, `sluice_lag_readings_total{group="indexer",result="unknown_group"} 1`)
	m.LagRead("somebody", 1, 1)
	m.LagNotRead("somebody", "failed")
	if strings.Contains(scrape(t, m), "somebody") {
		t.Error("a group that New was not given has a series")
	}
}

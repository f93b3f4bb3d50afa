package metrics

import (
	"strings"
	"testing"
)

// TestIndexer shows what an indexer counts, and nothing of mail that is received.
func TestIndexer(t *testing.T) {
	m, i := NewIndexer(testIndexLabels, Build{Version: "v1"})
	i.Events("indexed", 7)
	i.Events("poison_digest", 1)
	i.Batch(8, 0.5)
	i.Read(8, 1.5, 2.5)
	i.Read(0, -1, -1) // by a clock that was set back
	i.Found(0.75)
	i.Found(-3)
	i.Outage("database", true)
	i.Outage("store", true)
	i.Outage("store", false)
	i.Retained(40)
	i.Lost(3)
	i.RetentionFailed()
	m.Panicked("index")
	page := scrape(t, m)
	for _, line := range []string{
		`sluice_index_events_total{result="indexed"} 7`, `sluice_index_events_total{result="poison_digest"} 1`,
		"sluice_index_batch_messages_sum 8", "sluice_index_insert_duration_seconds_sum 0.5", "sluice_index_messages_read_total 8",
		"sluice_index_fetch_seconds_total 1.5", "sluice_index_parse_seconds_total 2.5", "sluice_index_found_duration_seconds_count 2",
		`sluice_index_outage{dependency="database"} 1`, `sluice_index_outage{dependency="store"} 0`, `sluice_index_outages_total{dependency="store"} 1`,
		"sluice_index_deleted_total 40", "sluice_index_events_lost_total 3", "sluice_index_retention_failures_total 1", `sluice_panics_total{where="index"} 1`, "sluice_build_info",
	} {
		if !strings.Contains(page, "\n"+line) {
			t.Errorf("no line %s in\n%s", line, page)
		}
	}
	if strings.Contains(page, "sluice_sessions") {
		t.Error("it counts sessions")
	}
}

package main

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"sluice/gateway/config"
	"sluice/gateway/pressure"
	"sluice/metrics"
)

// TestCausesAreLabels: every cause by which the gate sheds has its series from the
// start, and none is lost in "other".
func TestCausesAreLabels(t *testing.T) {
	c := config.DefaultConfig()
	m := metrics.New(metricLabels(&c))
	for _, cause := range pressure.Causes() {
		m.SessionShed(cause)
	}
	page := httptest.NewRecorder()
	m.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for _, cause := range pressure.Causes() {
		if sample := fmt.Sprintf("\nsluice_sessions_shed_total{cause=%q} 1\n", cause); !strings.Contains(page.Body.String(), sample) {
			t.Errorf("no %s", strings.TrimSpace(sample))
		}
	}
	if !strings.Contains(page.Body.String(), `sluice_sessions_shed_total{cause="other"} 0`) {
		t.Error("a cause of the gate is counted under other")
	}
}

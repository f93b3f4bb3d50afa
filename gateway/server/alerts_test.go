package server

import (
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/gateway/config"
	"sluice/metrics"
)

// Every value of a label that an alert or the dashboard asks for is one that the metric
// may have.
func TestAlertsAskForValuesThatMetricsHave(t *testing.T) {
	c := config.DefaultConfig()
	page := httptest.NewRecorder()
	all := metrics.New(metricLabels(&c))
	all.AddIndex(indexLabels())
	all.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	samples := strings.Split(page.Body.String(), "\n")

	for _, file := range []string{"../../deploy/alerts.yml", "../../deploy/grafana/dashboards/sluice.json"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		selectors := regexp.MustCompile(`(sluice_\w+)\{(\w+)(?:!?=|=~)\\?"([\w|]+)\\?"\}`).FindAllStringSubmatch(string(text), -1)
		for _, s := range selectors {
			for value := range strings.SplitSeq(s[3], "|") {
				has := regexp.MustCompile(`^` + s[1] + `\{(.*,)?` + s[2] + `="` + value + `"`)
				if !slices.ContainsFunc(samples, has.MatchString) {
					t.Errorf("%s: %s is never for %s", file, s[0], value)
				}
			}
		}
		if all := len(regexp.MustCompile(`sluice_\w+\{`).FindAll(text, -1)); len(selectors) == 0 || len(selectors) != all {
			t.Errorf("%s: %d of %d selectors were understood", file, len(selectors), all)
		}
	}
}

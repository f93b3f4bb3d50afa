package sluice_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"sluice/internal/testkit"
)

// alerting has for each alert of deploy/alerts.yml a series by which it fires, and the
// values of an hour, one a minute, with which it does and does not.
var alerting = map[string]struct{ series, sick, healthy string }{
	"SluiceStoreUnusable":          {`sluice_store_usable`, "0x60", "1x60"},
	"SluiceEventsUnusable":         {`sluice_events_usable`, "0x60", "1x60"},
	"SluiceDiscards":               {`sluice_unsafe_discard`, "1x60", "0x60"},
	"SluiceEventsDeletedUnread":    {`sluice_events_deleted_unread_total{by="retention"}`, "0x30 5x30", "5x60"},
	"SluiceTopicMadeAnew":          {`sluice_kafka_clients_replaced_total{cause="topic_anew"}`, "0x30 1x30", "1x60"},
	"SluiceConnectionsNotAccepted": {`sluice_accept_failures_total{cause="process_descriptors"}`, "0+9x60", "0x54 1x6"},
	"SluiceLeftBehind":             {`sluice_store_left_behind_total`, "0x30 1x30", "1x60"},
	"SluiceUsersTurnedAway":        {`sluice_auth_attempts_total{backend="none",result="busy"}`, "0+1x60", "0x50 1x10"},
	"SluicePanics":                 {`sluice_panics_total{where="traffic"}`, "0x30 1x30", "1x60"},
	"SluiceCertificateExpires":     {`sluice_certificate_expiry_timestamp_seconds{certificate="a.pem"}`, "604800x60", "691200x60"},
	"SluiceCertificateNotTaken":    {`sluice_tls_file_reloads_total{result="invalid"}`, "0x30 1x30", "1x60"},
	"SluiceConfigurationNotTaken":  {`sluice_config_reloads_total{result="invalid"}`, "0x30 1x30", "1x60"},
	"SluiceLogLinesDropped":        {`sluice_log_lines_dropped_total`, "0x30 9x30", "9x60"},
	"SluiceBrokerSilent":           {`sluice_broker_silent{broker="1"}`, "1x60", "0x60"},
	"SluiceHandshakesRefused":      {`sluice_replies_total{code="454",cause="tls_busy"}`, "0+1x60", "7x60"},
	"SluiceCertificateRefused":     {`sluice_tls_failures_total{cause="certificate"}`, "0+2x60", "0+1x60"},
	"SluiceUsersCannotBeJudged":    {`sluice_auth_attempts_total{backend="ldap",result="unreachable"}`, "0+1x60", "0x54 1x6"},
	"SluicePasswordsAreTriedOut":   {`sluice_auth_attempts_total{backend="ldap",result="wrong_password"}`, "0+120x60", "0+30x60"},
	"SluiceDNSUnanswered":          {`sluice_dns_lookups_total{type="TXT",outcome="servfail"}`, "0+30x60", "0+3x60"},
	"SluiceIndexWaits":             {`sluice_index_outage{dependency="database"}`, "1x60", "0x60"},
	"SluiceIndexBehind":            {`sluice_index_found_duration_seconds_sum`, "0+36000x60", "0+60x60"},
	"SluiceStoredMailDiffers":      {`sluice_index_events_total{result="poison_digest"}`, "0x30 1x30", "1x60"},
	"SluiceDeadLetters":            {`sluice_index_events_total{result="poison_missing"}`, "0x30 1x30", "1x60"},
	"SluiceIndexEventsLost":        {`sluice_index_events_lost_total`, "0x30 1x30", "1x60"},
	"SluiceProxyRefused":           {`sluice_proxy_refused_total{cause="network"}`, "0+1x60", "7x60"},
}

// beside are series that both have.
var beside = map[string]string{
	`sluice_index_found_duration_seconds_count`:              "0+60x60",
	`sluice_index_events_total{result="indexed"}`:            "0+60x60",
	`sluice_tls_failures_total{cause="busy"}`:                "0x60",
	`sluice_tls_handshakes_total{version="TLSv1.3"}`:         "0+15x60",
	`sluice_tls_file_reloads_total{result="ok"}`:             "0+1x60",
	`sluice_config_reloads_total{result="ok"}`:               "0+1x60",
	`sluice_dns_lookups_total{type="TXT",outcome="found"}`:   "0+20x60",
	`sluice_dns_lookups_total{type="MX",outcome="nxdomain"}`: "0+20x60",
	`sluice_tls_failures_total{cause="no_shared_cipher"}`:    "0+9x60",
}

// Every metric that an alert asks for exists, and so do its labels.
func TestAlertsAskForWhatThereIs(t *testing.T) {
	names := ruleNames(t)
	if want := slices.Sorted(maps.Keys(alerting)); !slices.Equal(names, want) {
		t.Errorf("alerts %v\nthe test has %v", names, want)
	}
	for _, r := range alerts(t) {
		checkMetrics(t, r.Alert, r.Expr)
	}
}

// Every metric that an alert asks for first has a line in the table of README.md that says
// what to look at.
func TestAlertsAreInTheRunbook(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n## When something is refused\n")
	runbook, _, _ := strings.Cut(rest, "\n## ")
	for _, r := range alerts(t) {
		name := regexp.MustCompile(`sluice_[a-z_]+`).FindString(r.Expr)
		if !regexp.MustCompile(`(?m)^\|.*\b` + name + `\b`).MatchString(runbook) {
			t.Errorf("%s: README.md does not say what to do about %s", r.Alert, name)
		}
	}
}

// Prometheus takes the rules and their templates, as deploy/prometheus.yml loads them. All
// alerts fire when something is wrong, and none when all is well.
func TestAlertsFire(t *testing.T) {
	skipShort(t)
	promtool(t, "check", "config", "deploy/prometheus.yml")

	sick, healthy := maps.Clone(beside), maps.Clone(beside)
	var firing []map[string]any
	for name, a := range alerting {
		sick[a.series], healthy[a.series] = a.sick, a.healthy
		firing = append(firing, map[string]any{"labels": fmt.Sprintf("{alertname=%q}", name), "value": 1})
	}
	rules, err := filepath.Abs("deploy/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	promtool(t, "test", "rules", written(t, map[string]any{
		"rule_files": []string{rules},
		"tests":      []any{firingTest(sick, firing), firingTest(healthy, nil)},
	}))
}

// firingTest returns a test of promtool in which these alerts fire after an hour.
func firingTest(series map[string]string, firing []map[string]any) map[string]any {
	var input []map[string]string
	for name, values := range series {
		input = append(input, map[string]string{"series": name, "values": values})
	}
	return map[string]any{
		"interval": "1m", "input_series": input,
		"promql_expr_test": []map[string]any{{
			"expr": `count by (alertname) (ALERTS{alertstate="firing"})`, "eval_time": "59m", "exp_samples": firing,
		}},
	}
}

// Prometheus takes the expressions of the dashboard.
func TestDashboardExpressionsAreRight(t *testing.T) {
	skipShort(t)
	var rules []map[string]string
	for i, target := range dashboardTargets(t) {
		rules = append(rules, map[string]string{"record": fmt.Sprintf("panel:%d", i), "expr": target.Expr})
	}
	promtool(t, "check", "rules", written(t, map[string]any{
		"groups": []map[string]any{{"name": "dashboard", "rules": rules}},
	}))
}

// Every metric that the dashboard shows exists, and so do its labels, those in its legends
// too.
func TestDashboardShowsWhatThereIs(t *testing.T) {
	for _, target := range dashboardTargets(t) {
		legends := regexp.MustCompile(`\{\{(\w+)\}\}`).ReplaceAllString(target.LegendFormat, "by ($1)")
		checkMetrics(t, target.Expr, target.Expr, legends)
	}
}

// No panel of the dashboard covers another, or stands beside the 24 columns.
func TestDashboardPanelsDoNotOverlap(t *testing.T) {
	taken, ids := map[[2]int]string{}, map[int]string{}
	for _, p := range dashboard(t) {
		at := p.GridPos
		if at.X < 0 || at.Y < 0 || at.W < 1 || at.H < 1 || at.X+at.W > 24 {
			t.Errorf("%s is at %+v", p.Title, at)
		}
		if other, is := ids[p.ID]; is {
			t.Errorf("%s and %s have the id %d", other, p.Title, p.ID)
		}
		ids[p.ID] = p.Title
		for cell := range at.W * at.H {
			place := [2]int{at.X + cell%at.W, at.Y + cell/at.W}
			if other, is := taken[place]; is {
				t.Fatalf("%s covers %s", p.Title, other)
			}
			taken[place] = p.Title
		}
	}
}

// checkMetrics fails the test unless the metrics of an expression exist, with the labels
// that it and further texts name.
func checkMetrics(t *testing.T, what, expr string, texts ...string) {
	t.Helper()
	golden, err := os.ReadFile("metrics/testdata/metrics.golden")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`sluice_[a-z_]+`).FindAllString(expr, -1)
	if len(names) == 0 {
		t.Errorf("%s: no metric in %s", what, expr)
	}
	var labels []string
	for _, text := range append(texts, expr) {
		for _, found := range regexp.MustCompile(`by \(([a-z_, ]+)\)|[{,]([a-z_]+)[!=]`).FindAllStringSubmatch(text, -1) {
			labels = append(labels, strings.Split(found[1]+found[2], ", ")...)
		}
	}
	for _, name := range names {
		if !regexp.MustCompile(`(?m)^` + name + `(\{|$)`).Match(golden) {
			t.Errorf("%s: %s does not exist", what, name)
		}
	}
	for _, label := range labels {
		has := label == "instance" // by Prometheus
		for _, name := range names {
			has = has || regexp.MustCompile(`(?m)^`+name+`\{(.*,)?`+label+`=`).Match(golden)
		}
		if !has {
			t.Errorf("%s: none of %v has a label %s", what, names, label)
		}
	}
}

// alert is a rule of deploy/alerts.yml.
type alert struct{ Alert, Expr string }

func alerts(t *testing.T) []alert {
	t.Helper()
	text, err := os.ReadFile("deploy/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []alert } }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// ruleNames returns the names of the alerts in order.
func ruleNames(t *testing.T) (names []string) {
	t.Helper()
	for _, r := range alerts(t) {
		names = append(names, r.Alert)
	}
	slices.Sort(names)
	return names
}

type panel struct {
	ID      int
	Title   string
	GridPos struct{ X, Y, W, H int }
	Targets []dashboardTarget
}

type dashboardTarget struct{ Expr, LegendFormat string }

func dashboard(t *testing.T) []panel {
	t.Helper()
	text, err := os.ReadFile("deploy/grafana/dashboards/sluice.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Panels []panel }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Panels
}

func dashboardTargets(t *testing.T) (all []dashboardTarget) {
	t.Helper()
	for _, p := range dashboard(t) {
		all = append(all, p.Targets...)
	}
	return all
}

// written returns a file with content as YAML, of which JSON is a part.
func written(t *testing.T, content any) (file string) {
	t.Helper()
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "file.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	command := exec.CommandContext(testkit.Deadline(t), testkit.Tool(t, "promtool"), args...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

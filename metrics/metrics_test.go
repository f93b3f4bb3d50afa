package metrics

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"sluice/pipeline"
)

var update = flag.Bool("update", false, "rewrite testdata/metrics.golden")

// testLabels holds a few values of each list, so that the golden file shows every label.
func testLabels() Labels {
	return Labels{
		Replies:       []Reply{{250, "ok"}, {452, "no_memory"}, {452, "storage_full"}},
		ProxyCauses:   []string{"network", "late"},
		ReloadResults: []string{"ok", "invalid"},

		TLSReloadResults: []string{"ok", "mismatched"},

		RefusalCauses:  []string{"connections", "connections_per_ip"},
		MessageResults: []string{"too_large", "temporary"},
		PathLeniencies: []string{"no_brackets", "dots"},
		FailureKinds:   []string{"temporary", "permanent"},
		RetryCauses:    []string{"silent", "broken"},
		ReplaceCauses:  []string{"overdue", "size"},
		Stages:         pipeline.ObservedStages(),
		DNSTypes:       []string{"A", "TXT"}, DNSOutcomes: []string{"found", "servfail"},
		AuthBackends: []string{"static", "ldap"}, AuthReasons: []string{"wrong_password", "timeout"},
		VerifyResults: []string{"pass", "fail"}, Dispositions: []string{"accept", "reject"},
		PanicPlaces:  []string{"traffic"},
		AcceptCauses: []string{"process_descriptors", "other"},

		PressureClasses: []string{"default", "own"},
		PressureCauses:  []string{"lag_records", "lag_age"},
		LagGroups:       []string{"indexer"},

		Strict: true,
	}
}

var testIndexLabels = IndexLabels{
	Results: []string{"indexed", "poison_digest"}, Dependencies: []string{"store", "database"}, PanicPlaces: []string{"index"},
}

func constant(v float64) func() float64 { return func() float64 { return v } }

func testMetrics() *Metrics {
	m := New(testLabels())
	m.AddIndex(testIndexLabels)
	m.AddConsole()
	m.RegisterSources(Sources{
		SessionsOpen:     constant(3),
		BodyMemory:       constant(4096),
		BodyMemoryLimit:  constant(1 << 20),
		CreditWaiters:    constant(1),
		TLSHandshakes:    constant(3),
		AuthAttempts:     constant(2),
		Verifications:    constant(3),
		DNSQuestions:     constant(4),
		DNSCache:         constant(8192),
		StoreUsable:      constant(1),
		EventsUsable:     constant(0),
		QueueDepths:      map[string]func() float64{"store": constant(7), "log": constant(8)},
		LogLinesDropped:  constant(9),
		LogLinesLeftOut:  constant(6),
		StoreLeftBehind:  constant(5),
		DeletedUnread:    map[string]func() int64{"retention": func() int64 { return 8 }},
		PackWaiting:      constant(2048),
		PackLanes:        constant(2),
		PackLanesBusy:    constant(1),
		LargeLimit:       constant(4),
		UnsafeDiscard:    constant(0),
		TopicReplication: constant(3),
		TopicMinInsync:   constant(2),
		TopicMaxMessage:  constant(1048588),
		Brokers:          func() []Broker { return []Broker{{ID: 1}, {ID: 2, Silent: true}} },
		Certificates:     func() []Certificate { return []Certificate{{"/etc/tls/a.pem", 1.8e9}, {"/etc/tls/b.pem", 1.9e9}} },
		Build:            Build{Version: "v1.2.3", Revision: "abc", GoVersion: "go1.26"},
	})
	return m
}

// scrape returns the page as Prometheus receives it.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	page := httptest.NewRecorder()
	m.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if page.Code != http.StatusOK {
		t.Fatalf("GET /metrics: %d %s", page.Code, page.Body)
	}
	return page.Body.String()
}

// ours reports whether this package defines the metric family name. The others belong to
// the client library and change with it.
func ours(name string) bool { return strings.HasPrefix(name, "sluice_") }

func families(t *testing.T, m *Metrics) []*dto.MetricFamily {
	t.Helper()
	all, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(f *dto.MetricFamily) bool { return !ours(f.GetName()) })
}

func TestExpositionIsGolden(t *testing.T) {
	var got strings.Builder
	for line := range strings.Lines(scrape(t, testMetrics())) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if !ours(name) {
			continue
		}
		if !strings.HasPrefix(line, "#") { // a sample; its value is not part of the contract
			line = line[:strings.LastIndexByte(line, ' ')] + "\n"
		}
		got.WriteString(line)
	}
	const golden = "testdata/metrics.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the exposition differs from %s, which dashboards and alerts depend on; if the change is intended, run go test ./metrics -update\n%s",
			golden, difference(string(want), got.String()))
	}
}

// difference lists the lines that are missing in one of the two texts.
func difference(want, got string) string {
	var b strings.Builder
	missing := func(mark, from, in string) {
		has := make(map[string]bool)
		for line := range strings.Lines(in) {
			has[line] = true
		}
		for line := range strings.Lines(from) {
			if !has[line] {
				b.WriteString(mark + line)
			}
		}
	}
	missing("- ", want, got)
	missing("+ ", got, want)
	return b.String()
}

func TestRuntimeCollectorsAreThere(t *testing.T) {
	page := scrape(t, testMetrics())
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", "process_open_fds"} {
		if !strings.Contains(page, "\n"+name+" ") {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	problems, err := promlint.NewWithMetricFamilies(families(t, testMetrics())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// value returns one sample: the value of a counter or gauge, the count of a histogram.
func value(t *testing.T, m *Metrics, name string, labels map[string]string) float64 {
	t.Helper()
	for _, family := range families(t, m) {
		if family.GetName() != name {
			continue
		}
		for _, sample := range family.GetMetric() {
			have := make(map[string]string)
			for _, pair := range sample.GetLabel() {
				have[pair.GetName()] = pair.GetValue()
			}
			if maps.Equal(have, labels) {
				return sample.GetCounter().GetValue() + sample.GetGauge().GetValue() +
					float64(sample.GetHistogram().GetSampleCount())
			}
		}
	}
	t.Fatalf("no sample %s%v", name, labels)
	return 0
}

type labels = map[string]string

func TestObservationsArriveUnderTheirLabels(t *testing.T) {
	for _, c := range []struct {
		name    string
		observe func(m *Metrics)
		metric  string
		labels  labels
		want    float64
	}{
		{"opened", (*Metrics).SessionOpened, "sluice_sessions_total", nil, 1},
		{"proxy", func(m *Metrics) { m.ProxyRefused("late") }, "sluice_proxy_refused_total", labels{"cause": "late"}, 1},
		{"reload", func(m *Metrics) { m.Reloaded("invalid") }, "sluice_config_reloads_total", labels{"result": "invalid"}, 1},
		{"file of TLS", func(m *Metrics) { m.TLSFileReloaded("mismatched") }, "sluice_tls_file_reloads_total", labels{"result": "mismatched"}, 1},
		{"config", func(m *Metrics) { m.ConfigUsed("0a"); m.ConfigUsed("1b") }, "sluice_config_info", labels{"hash": "1b"}, 1},
		{"refused", func(m *Metrics) { m.SessionRefused("connections") }, "sluice_sessions_refused_total", labels{"cause": "connections"}, 1},
		{"shed", func(m *Metrics) { m.SessionShed("lag_age") }, "sluice_sessions_shed_total", labels{"cause": "lag_age"}, 1},
		{"shed, unknown cause", func(m *Metrics) { m.SessionShed("x") }, "sluice_sessions_shed_total", labels{"cause": "other"}, 1},
		{"lenient", func(m *Metrics) { m.LenientPath("dots") }, "sluice_lenient_paths_total", labels{"kind": "dots"}, 1},
		{"closed", func(m *Metrics) { m.SessionClosed(2, "quit") }, "sluice_sessions_closed_total", labels{"end": "quit"}, 1},
		{"session duration", func(m *Metrics) { m.SessionClosed(2, "quit") }, "sluice_session_duration_seconds", nil, 1},
		{"reply", func(m *Metrics) { m.Reply(452, "no_memory") }, "sluice_replies_total", labels{"code": "452", "cause": "no_memory"}, 1},
		{"reply, unknown cause", func(m *Metrics) { m.Reply(452, "x") }, "sluice_replies_total", labels{"code": "452", "cause": "other"}, 1},
		{"reply, unknown code", func(m *Metrics) { m.Reply(299, "ok") }, "sluice_replies_total", labels{"code": "other", "cause": "other"}, 1},
		{"message", func(m *Metrics) { m.MessageDone("accepted", 100, 1) }, "sluice_messages_total", labels{"result": "accepted"}, 1},
		{"message, unknown result", func(m *Metrics) { m.MessageDone("x", 100, 1) }, "sluice_messages_total", labels{"result": "other"}, 1},
		{"octets", func(m *Metrics) { m.MessageDone("too_large", 100, 1) }, "sluice_message_bytes_total", labels{"result": "too_large"}, 100},
		{"negative octets", func(m *Metrics) { m.MessageDone("too_large", -1, 1) }, "sluice_message_bytes_total", labels{"result": "too_large"}, 0},
		{"message duration", func(m *Metrics) { m.MessageDone("accepted", 100, 0) }, "sluice_message_duration_seconds", nil, 1},
		{"no final dot", func(m *Metrics) { m.MessageDone("accepted", 100, -1) }, "sluice_message_duration_seconds", nil, 0},
		{"store", func(m *Metrics) { m.StageDone("store", "ok", 1) }, "sluice_store_duration_seconds", labels{"result": "ok"}, 1},
		{"publish", func(m *Metrics) { m.StageDone("publish", "permanent", 1) }, "sluice_publish_duration_seconds", labels{"result": "permanent"}, 1},
		{"late", func(m *Metrics) { m.LateResult("publish", "ok") }, "sluice_late_results_total", labels{"step": "publish", "result": "ok"}, 1},
		{"orphan", func(m *Metrics) { m.Orphaned("removed") }, "sluice_orphans_total", labels{"fate": "removed"}, 1},
		{"kafka client", func(m *Metrics) { m.KafkaClientReplaced("overdue") }, "sluice_kafka_clients_replaced_total", labels{"cause": "overdue"}, 1},
		{"credit", func(m *Metrics) { m.CreditWaited("refused", 90) }, "sluice_credit_wait_seconds", labels{"result": "refused"}, 1},
		{"relief", func(m *Metrics) { m.MemoryRelieved("body") }, "sluice_memory_relieved_total", labels{"sending": "body"}, 1},
		{"loop", func(m *Metrics) { m.LoopDelay(0.001) }, "sluice_loop_delay_seconds", nil, 1},
		{"panic", func(m *Metrics) { m.Panicked("traffic") }, "sluice_panics_total", labels{"where": "traffic"}, 1},
		{"source", func(*Metrics) {}, "sluice_sessions_open", nil, 3},
		{"queue", func(*Metrics) {}, "sluice_queue_depth", labels{"queue": "store"}, 7},
		{"dropped", func(*Metrics) {}, "sluice_log_lines_dropped_total", nil, 9},
		{"left out", func(*Metrics) {}, "sluice_log_lines_left_out_total", nil, 6},
		{"left behind", func(*Metrics) {}, "sluice_store_left_behind_total", nil, 5},
		{"deleted unread", func(*Metrics) {}, "sluice_events_deleted_unread_total", labels{"by": "retention"}, 8},
		{"build", func(*Metrics) {}, "sluice_build_info", labels{"version": "v1.2.3", "revision": "abc", "goversion": "go1.26"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := testMetrics()
			c.observe(m)
			if got := value(t, m, c.metric, c.labels); got != c.want {
				t.Errorf("%s%v = %v, want %v", c.metric, c.labels, got, c.want)
			}
		})
	}
}

func TestUnknownLabelsMakeNoSeries(t *testing.T) {
	m := testMetrics()
	series := func() (n int) {
		for _, family := range families(t, m) {
			n += len(family.GetMetric())
		}
		return n
	}
	before := series()
	for i := range 100 {
		observeAll(m, 700+i, fmt.Sprint("hostile", i))
	}
	if after := series(); after != before {
		t.Errorf("series: %d before, %d after", before, after)
	}
}

// observeAll calls every observer method once with the same label.
func observeAll(m *Metrics, code int, label string) {
	m.SessionOpened()
	m.SessionRefused(label)
	m.SessionShed(label)
	m.SessionClosed(1, label)
	m.Reply(code, label)
	m.MessageDone(label, 10240, 0.01)
	m.StageDone("store", label, 0.01)
	m.StageDone("publish", label, 0.01)
	m.LateResult("publish", label)
	m.Authenticated("ldap", label)
	m.Checked("spf", label)
	m.Checked(label, label)
	m.Disposed(label)
	m.VerifyOverdue()
	m.FieldsForged(2)
	m.CreditWaited(label, 0.5)
	m.LoopDelay(0.0002)
	m.Panicked(label)
}

func TestObservingDoesNotAllocate(t *testing.T) {
	m := testMetrics()
	for _, label := range []string{"ok", "accepted", "unknown"} {
		if n := testing.AllocsPerRun(100, func() { observeAll(m, 250, label) }); n != 0 {
			t.Errorf("%v allocations observing %q", n, label)
		}
	}
}

// TestObservingWhileScraping is for -race: loops observe while Prometheus scrapes.
func TestObservingWhileScraping(t *testing.T) {
	m := testMetrics()
	var loops sync.WaitGroup
	for range 4 {
		loops.Go(func() {
			for range 500 {
				observeAll(m, 250, "ok")
			}
		})
	}
	for range 5 {
		scrape(t, m)
	}
	loops.Wait()
	if got := value(t, m, "sluice_sessions_total", nil); got != 2000 {
		t.Errorf("sluice_sessions_total = %v, want 2000", got)
	}
}

func BenchmarkReply(b *testing.B) {
	m := testMetrics()
	b.ReportAllocs()
	for b.Loop() {
		m.Reply(250, "ok")
	}
}

// BenchmarkMessage measures the observations of one accepted message.
func BenchmarkMessage(b *testing.B) {
	m := testMetrics()
	b.ReportAllocs()
	for b.Loop() {
		m.StageDone("store", "ok", 0.004)
		m.StageDone("publish", "ok", 0.006)
		m.MessageDone("accepted", 10240, 0.01)
		m.Reply(250, "ok")
	}
}

// TestUnknownStage panics in tests, and counts nothing otherwise.
func TestUnknownStage(t *testing.T) {
	labels := testLabels()
	labels.Strict = false
	m := New(labels)
	m.StageDone("x", "ok", 1)
	m.LateResult("x", "ok")
	defer func() {
		if recover() == nil {
			t.Error("an unknown stage is taken")
		}
	}()
	testMetrics().StageDone("x", "ok", 1)
}

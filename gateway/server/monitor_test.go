package server

import (
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/gateway/config"
	"sluice/gateway/pressure"
	"sluice/internal/testkit"
	"sluice/metrics"
	"sluice/pipeline"
)

const lagGroup = "indexer"

// TestShedAtTheGreetingAndAtMail checks that a whole gateway whose consumer does not keep
// up sheds strangers with 421.
func TestShedAtTheGreetingAndAtMail(t *testing.T) {
	r := launch(t, func(c *config.Config) {
		lag := &c.Pressure.Lag
		lag.Groups, lag.LowRecords, lag.HighRecords, lag.Interval = []string{lagGroup}, 1, 3, 200*time.Millisecond
		lag.StaleAfter = time.Minute
	})
	broker := r.events.Address
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var offsets kadm.Offsets
	offsets.AddOffset(r.config.Events.Topic, 0, 0, -1)
	if err := kadm.NewClient(client).CommitAllOffsets(t.Context(), lagGroup, offsets); err != nil {
		t.Fatal(err)
	}
	// The gate was shut before the group existed.
	open := func() bool { _, shed := r.monitor.Gate().Shed(0, 0); return !shed }
	read := regexp.MustCompile(`\nsluice_lag_readings_total\{group="` + lagGroup + `",result="ok"\} [1-9]`)
	testkit.Eventually(t, "the lag is read", func() bool { return read.MatchString(r.metricsPage(t)) })
	testkit.Eventually(t, "the gate is open", open)
	long := r.dial(t)
	long.Expect("220 ")
	var four []*testkit.SMTP // whoever has a 354 finishes, however soon the gate begins to shut
	for range 4 {
		c := r.dial(t)
		c.Begin()
		four = append(four, c)
	}
	for _, c := range four {
		_, _ = c.Conn.Write([]byte("Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\n"))
		c.Expect("250 ")
		c.Expect("221 ")
	}
	testkit.Eventually(t, "the gate is shut", func() bool { _, shed := r.monitor.Gate().Shed(0, 65535); return shed })
	r.dial(t).Expect("421 ")
	_, _ = long.Conn.Write([]byte("HELO x\r\nMAIL FROM:<a@example.com>\r\n"))
	long.Expect("250 ")
	long.Expect("421 4.3.2 ")
	r.expectSample(t, `sluice_sessions_shed_total{cause="lag_records"} 2`)
	if r.status(t, "/readyz") != 200 {
		t.Error("a gateway under pressure is taken out of the balancer")
	}
	offsets = kadm.Offsets{}
	offsets.AddOffset(r.config.Events.Topic, 0, 4, -1)
	if err := kadm.NewClient(client).CommitAllOffsets(t.Context(), lagGroup, offsets); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the gate is open again", open)
	last := r.dial(t)
	last.Begin()
	_ = last.Conn.Close()
	r.end(t)
}

func TestOpenFiles(t *testing.T) {
	// Descriptors of what ran before may be closed meanwhile.
	testkit.Eventually(t, "50 files more are counted", func() bool {
		before := openFiles()
		for range 50 {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
		}
		after := openFiles()
		return before > 0 && after >= before+45 && after <= before+55
	})
}

// TestCausesAreLabels checks that every cause of shedding has its series from the start,
// and that none is counted as "other".
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

func TestBodyMemoryCountsParts(t *testing.T) {
	for _, c := range []struct {
		bodies, parts int64
		want          float64
	}{
		{0, 0, 0}, {150, 0, 0.5}, {150, 100, 0.625}, {300, 0, 1}, {270, 100, 0.925}, {0, 100, 0.25},
	} {
		bodies, parts := pipeline.NewBudget(300), pipeline.NewBudget(100)
		if !bodies.TryTake(c.bodies) || !parts.TryTake(c.parts) {
			t.Fatal("no room")
		}
		if got := bodyMemory(bodies, parts); got != 0 {
			t.Errorf("what was taken just now counts as %v", got)
		}
		if bodies.TryTake(30) {
			bodies.Give(30)
		}
		if got := bodyMemory(bodies, parts); got != c.want {
			t.Errorf("%d of 300 and %d of 100 are %v, want %v", c.bodies, c.parts, got, c.want)
		}
	}
	if got := bodyMemory(pipeline.NewBudget(300), pipeline.NewBudget(0)); got != 0 {
		t.Errorf("nothing, and no parts, are %v", got)
	}
}

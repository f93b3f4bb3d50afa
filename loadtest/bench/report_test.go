package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func reportOf(sink, discard []Sample) *Report {
	r := newReport(Plan{Rounds: len(sink), Contenders: []Contender{{Name: Sink, Title: "smtp-sink"}, {Name: Discard, Title: "Sluice"}}})
	for _, s := range sink {
		r.add(Sink, Reused, s)
	}
	for _, s := range discard {
		r.add(Discard, Reused, s)
	}
	return r
}

// The machine slows down by half in the second round: the ratio of the rounds
// does not move, and that is what is judged.
func TestRatiosAreOfTheSameRound(t *testing.T) {
	r := reportOf(
		[]Sample{{Rate: 100, CPU10k: 1}, {Rate: 50, CPU10k: 2}, {Rate: 100, CPU10k: 1}},
		[]Sample{{Rate: 110, CPU10k: 0.8}, {Rate: 55, CPU10k: 1.6}, {Rate: 110, CPU10k: 0.8}})
	r.conclude()
	row := r.row(Discard, Reused)
	if row.CPURatio != 0.8 || row.RateRatio != 1.1 || row.Rate != 110 || row.CPU10k != 0.8 {
		t.Errorf("%+v", row)
	}
	for _, target := range row.Targets {
		if !target.Met {
			t.Errorf("not met: %+v", target)
		}
	}
}

func TestTargetsCanFail(t *testing.T) {
	r := reportOf([]Sample{{Rate: 100, CPU10k: 1}}, []Sample{{Rate: 99, CPU10k: 0.86}})
	if text := r.Markdown(); !strings.Contains(text, "CPU ≤ 0.85x: not met; messages/s ≥ 1.00x: not met") {
		t.Error(text)
	}
}

// A log line for each message is compared with none, whether or not smtp-sink was measured.
func TestLogLinesAreComparedWithNone(t *testing.T) {
	r := newReport(Plan{Rounds: 2, Contenders: []Contender{{Name: Discard}, {Name: Logged}}})
	for _, cpu := range []float64{1, 2} {
		r.add(Discard, Reused, Sample{CPU10k: cpu})
		r.add(Logged, Reused, Sample{CPU10k: 1.04 * cpu})
		r.add(Discard, Single, Sample{CPU10k: cpu})
		r.add(Logged, Single, Sample{CPU10k: 1.06 * cpu})
	}
	text := r.Markdown()
	for _, want := range []string{"CPU ≤ 1.05x of messages: off (1.040x): met", "CPU ≤ 1.05x of messages: off (1.060x): not met"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestWriteLeavesBothTables(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new")
	if err := reportOf([]Sample{{Rate: 1, CPU10k: 1}}, []Sample{{Rate: 2, CPU10k: 1}}).Write(folder, "x"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"x.md": "2.00x", "x.json": `"rate_to_smtp_sink": 2`} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

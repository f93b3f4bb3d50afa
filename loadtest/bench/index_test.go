package bench

import (
	"bytes"
	"strings"
	"testing"
)

// TestIndexReport has a row for each database and text.
func TestIndexReport(t *testing.T) {
	r := &IndexReport{Messages: 10, Size: 20, Profile: []Share{{"MIME and charsets", 0.25, 0}}}
	r.add(profiled, indexRate, 1000)
	r.add(profiled, indexRate, 3000)
	r.add(profiled, indexCPU, 4.5)
	var text strings.Builder
	r.markdown(&text)
	for _, want := range []string{
		"| postgres, text 4KiB | 2000 (1000–3000) | 4.5 (4.5–4.5) | – | – | – | – | – | – |\n",
		"| sqlite, text 0 | – | – |", "| MIME and charsets | 25 % | 0 % |\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
}

// TestIndexMail draws the same mail for a number each time, of about the size.
func TestIndexMail(t *testing.T) {
	run := &indexRun{IndexPlan: &IndexPlan{Size: 10240}}
	one, two := run.mail(1), run.mail(2)
	if !bytes.Equal(one, run.mail(1)) || bytes.Equal(one, two) || len(one) < 10240 || len(one) > 10500 {
		t.Errorf("%d and %d bytes", len(one), len(two))
	}
}

// TestSampleOf reads samples from a page of metrics.
func TestSampleOf(t *testing.T) {
	const page = "# HELP a b\n" + `a{x="y"} 3` + "\na_sum 0.5\n"
	if sampleOf(page, `a{x="y"}`) != 3 || sampleOf(page, "a_sum") != 0.5 || sampleOf(page, "b") != 0 {
		t.Error("wrong")
	}
}

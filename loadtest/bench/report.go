package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Report is what one run measured.
type Report struct {
	At      time.Time `json:"at"`
	Machine Machine   `json:"machine"`
	Load    Load      `json:"load"`
	Rounds  int       `json:"rounds"`
	Rows    []*Row    `json:"rows,omitempty"`
	// Fleet is nil when it was not measured.
	Fleet *FleetReport `json:"fleet,omitempty"`
	// Packs is nil when it was not measured.
	Packs *PacksReport `json:"packs,omitempty"`
	// TLS is nil when it was not measured.
	TLS *TLSReport `json:"tls,omitempty"`
	// Verify is nil when it was not measured.
	Verify *VerifyReport `json:"verify,omitempty"`
	// Index is nil when it was not measured.
	Index *IndexReport `json:"index,omitempty"`
}

// Row is one server in one mode. The ratios are medians of the rounds' ratios to
// smtp-sink in the same round and mode, 0 when that was not measured.
type Row struct {
	Server    string   `json:"server"`
	Title     string   `json:"title"`
	Mode      Mode     `json:"mode"`
	Rate      float64  `json:"messages_per_second"`   // median
	CPU10k    float64  `json:"cpu_seconds_per_10000"` // median
	RateRatio float64  `json:"rate_to_smtp_sink"`
	CPURatio  float64  `json:"cpu_to_smtp_sink"`
	Targets   []Target `json:"targets,omitempty"`
	Samples   []Sample `json:"samples"`
}

// Target is something to reach.
type Target struct {
	What string  `json:"what"`
	Is   float64 `json:"is"`
	Met  bool    `json:"met"`
}

func newReport(plan Plan) *Report {
	r := &Report{At: time.Now().UTC(), Machine: thisMachine(), Load: plan.Load, Rounds: plan.Rounds}
	for _, mode := range modes {
		for _, c := range plan.Contenders {
			r.Rows = append(r.Rows, &Row{Server: c.Name, Title: c.Title, Mode: mode})
		}
	}
	return r
}

func (r *Report) row(server string, mode Mode) *Row {
	for _, row := range r.Rows {
		if row.Server == server && row.Mode == mode {
			return row
		}
	}
	return nil
}

func (r *Report) add(server string, mode Mode, sample Sample) {
	row := r.row(server, mode)
	row.Samples = append(row.Samples, sample)
}

// conclude computes medians, ratios and targets.
func (r *Report) conclude() {
	if r.Fleet != nil {
		r.Fleet.conclude()
	}
	if r.Packs != nil {
		r.Packs.conclude()
	}
	if r.TLS != nil {
		r.TLS.conclude()
	}
	for _, row := range r.Rows {
		row.Rate = row.median(func(s Sample) float64 { return s.Rate })
		row.CPU10k = row.median(func(s Sample) float64 { return s.CPU10k })
		if sink := r.row(Sink, row.Mode); sink != nil && row != sink {
			row.RateRatio = ratio(row, sink, func(s Sample) float64 { return s.Rate })
			row.CPURatio = ratio(row, sink, func(s Sample) float64 { return s.CPU10k })
			row.judge()
		}
		if plain := r.row(Discard, row.Mode); plain != nil && row.Server == Logged {
			cost := ratio(row, plain, func(s Sample) float64 { return s.CPU10k })
			row.Targets = []Target{{fmt.Sprintf("CPU ≤ %.2fx of messages: off (%.3fx)", mostLogged, cost), cost, cost <= mostLogged}}
		}
	}
}

// mostLogged is how much CPU time Sluice may use with a log line for each message, of
// what it uses without.
const mostLogged = 1.05

// most is how much of smtp-sink's CPU time Sluice may use when it, too,
// keeps nothing.
var most = map[Mode]float64{Reused: 0.85, Single: 0.75}

func (row *Row) judge() {
	if row.Server != Discard {
		return
	}
	row.Targets = []Target{
		{fmt.Sprintf("CPU ≤ %.2fx", most[row.Mode]), row.CPURatio, row.CPURatio <= most[row.Mode]},
		{"messages/s ≥ 1.00x", row.RateRatio, row.RateRatio >= 1},
	}
}

func (row *Row) median(of func(Sample) float64) float64 { return medianOf(row.Samples, of) }

func medianOf(samples []Sample, of func(Sample) float64) float64 {
	var values []float64
	for _, s := range samples {
		values = append(values, of(s))
	}
	return median(values)
}

func ratio(row, to *Row, of func(Sample) float64) float64 {
	return median(ratiosOf(row.Samples, to.Samples, of))
}

// ratiosOf returns, for each round, the ratio of two samples.
func ratiosOf(samples, to []Sample, of func(Sample) float64) []float64 {
	var values []float64
	for i := range min(len(samples), len(to)) {
		values = append(values, of(samples[i])/of(to[i]))
	}
	return values
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// Markdown is the report as a table for people.
func (r *Report) Markdown() string {
	r.conclude()
	var b strings.Builder
	fmt.Fprintf(&b, "%d cores %s, Linux %s, %s. smtp-source on the same cores: %d messages of %d bytes, %d sessions; medians of %d rounds, the servers taking turns.\n\n",
		r.Machine.Cores, r.Machine.CPU, r.Machine.Kernel, r.Machine.Go, r.Load.Messages, r.Load.Size, r.Load.Sessions, r.Rounds)
	if len(r.Rows) > 0 {
		r.servers(&b)
	}
	if r.Fleet != nil {
		r.Fleet.markdown(&b)
	}
	if r.Packs != nil {
		b.WriteString("\n")
		r.Packs.markdown(&b)
	}
	if r.TLS != nil {
		b.WriteString("\n")
		r.TLS.markdown(&b)
	}
	if r.Verify != nil {
		b.WriteString("\n")
		r.Verify.markdown(&b)
	}
	if r.Index != nil {
		b.WriteString("\n")
		r.Index.markdown(&b)
	}
	return b.String()
}

// servers is the table of those that are compared with smtp-sink.
func (r *Report) servers(b *strings.Builder) {
	b.WriteString("| Connections | Server | messages/s | to smtp-sink | CPU-s per 10,000 | to smtp-sink | targets |\n")
	b.WriteString("|---|---|---:|---:|---:|---:|---|\n")
	for _, row := range r.Rows {
		fmt.Fprintf(b, "| %s | %s | %.0f | %s | %.3f | %s | %s |\n", row.Mode, row.Title,
			row.Rate, times(row.RateRatio), row.CPU10k, times(row.CPURatio), row.verdict())
	}
	b.WriteString("\n")
}

func times(ratio float64) string {
	if ratio == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2fx", ratio)
}

func (row *Row) verdict() string { return verdict(row.Targets) }

func verdict(targets []Target) string {
	var said []string
	for _, t := range targets {
		word := "not met"
		if t.Met {
			word = "met"
		}
		said = append(said, t.What+": "+word)
	}
	return strings.Join(said, "; ")
}

// Write puts the report into folder as name.md and name.json.
func (r *Report) Write(folder, name string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, name+".md"), []byte(r.Markdown()), 0o644); err != nil {
		return err
	}
	r.conclude()
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, name+".json"), append(text, '\n'), 0o644)
}

package bench

import (
	"fmt"
	"strings"
)

// PacksReport is what a run with and without packing measured.
type PacksReport struct {
	Size    int         `json:"size"`
	Rows    []*PacksRow `json:"rows"`
	Targets []Target    `json:"targets"`
	// Profile splits the CPU time of Sluice with packing at 500 sessions.
	Profile []Share `json:"profile,omitempty"`
}

// PacksRow is one thing measured with so many sessions.
type PacksRow struct {
	What     string        `json:"what"`
	Sessions int           `json:"sessions"`
	Samples  []PacksSample `json:"samples"`
}

// PacksSample is one measurement; what was not measured is 0.
type PacksSample struct {
	Sample
	Latency Latency `json:"latency"`
}

func (r *PacksReport) row(what string, sessions int) *PacksRow {
	for _, row := range r.Rows {
		if row.What == what && row.Sessions == sessions {
			return row
		}
	}
	row := &PacksRow{What: what, Sessions: sessions}
	r.Rows = append(r.Rows, row)
	return row
}

func (row *PacksRow) spread(value func(PacksSample) float64) Spread {
	var values []float64
	for _, s := range row.Samples {
		values = append(values, value(s))
	}
	return spreadOf(values)
}

// ratio is the median of the rounds' ratios.
func (row *PacksRow) ratio(to *PacksRow, value func(PacksSample) float64) float64 {
	var values []float64
	for i := range min(len(row.Samples), len(to.Samples)) {
		if base := value(to.Samples[i]); base > 0 {
			values = append(values, value(row.Samples[i])/base)
		}
	}
	return spreadOf(values).Median
}

func packRate(s PacksSample) float64 { return s.Rate }
func packCPU(s PacksSample) float64  { return s.CPU10k }
func packP50(s PacksSample) float64  { return s.Latency.P50 }
func packP99(s PacksSample) float64  { return s.Latency.P99 }

// conclude compares with what is to be reached.
func (r *PacksReport) conclude() {
	on, off := func(n int) *PacksRow { return r.row(packed, n) }, func(n int) *PacksRow { return r.row(unpacked, n) }
	least := func(what string, is, bound float64) {
		r.Targets = append(r.Targets, Target{fmt.Sprintf("%s ≥ %.2fx", what, bound), is, is >= bound})
	}
	most := func(what string, is, bound float64) {
		r.Targets = append(r.Targets, Target{fmt.Sprintf("%s ≤ %.2fx", what, bound), is, is <= bound})
	}
	least("messages/s at 500 sessions, to packing off", on(500).ratio(off(500), packRate), 8)
	most("CPU per message at 500 sessions, to packing off", on(500).ratio(off(500), packCPU), 0.3)
	most("p99 at 50 sessions, to packing off", on(50).ratio(off(50), packP99), 1)
	most("p99 at 500 sessions, to packing off", on(500).ratio(off(500), packP99), 1)
	most("p50 at one session, to packing off", on(1).ratio(off(1), packP50), 1.05)
	for _, sessions := range packSessions[1:] {
		least(fmt.Sprintf("messages/s at %d sessions, to Postfix", sessions),
			on(sessions).ratio(r.row(postfix, sessions), packRate), 4)
	}
	mixed := func(what string) *PacksRow { return r.row(what, mixedSessions) }
	beside := mixed(mixedPaced).ratio(mixed(mixedPacedSame), packP99)
	most("p99 of small messages beside large ones, to that without them, paced", beside, 2)
	if bare := mixed(rawPrefix+mixedPaced).ratio(mixed(rawPrefix+mixedPacedSame), packP99); bare > 0 {
		most("the same, to what the bare client's PUTs have", beside/bare, 1)
	}
	most("p99 of small messages beside large ones, as fast as the answers come",
		mixed(mixedFull).ratio(mixed(mixedFullSmall), packP99), 2)
}

func (r *PacksReport) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "Small messages that share objects, on MinIO and Kafka on the same cores: %d bytes, connections reused, rates by smtp-source, times from final dot to 250 by a client of ours; Postfix keeps its queue on the same disk and discards. Beside a median of the rounds stand the least and the most of them. Mixed sizes are log-normal around 20 KiB, and one of a hundred has 5 to 20 MiB; their times are those of the small ones, after the same load as a warm-up, in which Sluice tries how many requests of large messages these do not feel; paced, %.0f messages a second are begun, the bare client's PUTs as well.\n\n", r.Size, 1/mixedPace.Seconds())
	b.WriteString("| What | sessions | messages/s | CPU-s per 10,000 | p50, ms | p99, ms |\n|---|---:|---:|---:|---:|---:|\n")
	for _, row := range r.Rows {
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s | %s |\n", row.What, row.Sessions,
			shown(row.spread(packRate), 0), shown(row.spread(packCPU), 2), shown(row.spread(packP50), 1), shown(row.spread(packP99), 1))
	}
	b.WriteString("\n| To reach | measured | |\n|---|---:|---|\n")
	for _, t := range r.Targets {
		verdict := "met"
		if !t.Met {
			verdict = "not met"
		}
		fmt.Fprintf(b, "| %s | %.2fx | %s |\n", t.What, t.Is, verdict)
	}
	if len(r.Profile) == 0 {
		return
	}
	b.WriteString("\n| Sluice's CPU time, packed, 500 sessions | share | of it in the kernel |\n|---|---:|---:|\n")
	for _, s := range r.Profile {
		fmt.Fprintf(b, "| %s | %.0f %% | %.0f %% |\n", s.Of, s.All*100, s.Kernel*100)
	}
}

// shown leaves out what was not measured.
func shown(s Spread, decimals int) string {
	if s.Most == 0 {
		return "–"
	}
	return s.text(decimals, "")
}

package pressure

import (
	"fmt"
	"strings"
	"time"

	"sluice/loadtest/plot"
)

// Figure draws samples: what was offered and what became of it, the lag, and
// the fraction of each gateway.
func (s *Scenario) Figure(samples []Sample) *plot.Figure {
	offered := plot.Curve{Name: "offered", Color: plot.Gray}
	accepted := plot.Curve{Name: "accepted (250)", Color: plot.Blue}
	shed := plot.Curve{Name: "shed (421)", Color: plot.Vermillion}
	lag := plot.Curve{Color: plot.Purple}
	colors := []plot.Color{plot.Blue, plot.Green, plot.Vermillion, plot.Purple}
	fractions := make([]plot.Curve, len(s.Gateways))
	for i := range fractions {
		fractions[i] = plot.Curve{Name: fmt.Sprintf("gateway %d", i+1), Color: colors[i%len(colors)]}
	}
	add := func(c *plot.Curve, x, y float64) { c.Points = append(c.Points, plot.Point{X: x, Y: y}) }
	var before time.Duration
	for _, sample := range samples {
		at, took := sample.At.Seconds(), (sample.At - before).Seconds()
		before = sample.At
		all := sum(sample.Counts)
		add(&offered, at, float64(all.Offered)/took)
		add(&accepted, at, float64(all.Accepted)/took)
		add(&shed, at, float64(all.Shed)/took)
		add(&lag, at, float64(sample.Lag))
		for i, f := range sample.Fraction {
			add(&fractions[i], at, f)
		}
	}
	halt, resume := s.KeepUp.Seconds(), (s.KeepUp + s.Halt).Seconds()
	return &plot.Figure{
		Title:  fmt.Sprintf("%d gateways, and sluice index, which is stopped and comes back", len(s.Gateways)),
		Across: "seconds", Width: 860,
		Spans: []plot.Span{
			{Name: "indexer keeps up", From: 0, To: halt}, {Name: "is stopped", From: halt, To: resume},
			{Name: "is back", From: resume, To: resume + s.CatchUp.Seconds()},
		},
		Panels: []plot.Panel{
			{Title: "Sessions a second", Height: 170, Curves: []plot.Curve{offered, accepted, shed}},
			{Title: "Lag in records", Height: 120, Curves: []plot.Curve{lag},
				Levels: []plot.Level{{Name: "low", At: float64(s.Low)}, {Name: "high", At: float64(s.High)}}},
			{Title: "Shed fraction", Height: 120, Curves: fractions},
		},
	}
}

func sum(counts []Counts) (all Counts) {
	for _, c := range counts {
		all.Offered, all.Accepted = all.Offered+c.Offered, all.Accepted+c.Accepted
		all.Shed, all.Failed = all.Shed+c.Shed, all.Failed+c.Failed
	}
	return all
}

// Summary counts what each gateway did in each phase.
func Summary(samples []Sample) string {
	var b strings.Builder
	for phase, name := range []string{"keeps up", "is stopped", "is back"} {
		var by []Counts
		for _, sample := range samples {
			if sample.Phase != Phase(phase) {
				continue
			}
			if by == nil {
				by = make([]Counts, len(sample.Counts))
			}
			for i, c := range sample.Counts {
				by[i] = sum([]Counts{by[i], c})
			}
		}
		fmt.Fprintf(&b, "indexer %s\n", name)
		for i, c := range by {
			fmt.Fprintf(&b, "  gateway %d: %d offered, %d accepted, %d shed, %d failed\n", i+1, c.Offered, c.Accepted, c.Shed, c.Failed)
		}
	}
	return b.String()
}

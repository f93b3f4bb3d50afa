package stress

import (
	"fmt"
	"strings"
)

// Row is what one scenario promised and what was measured.
type Row struct {
	Scenario string  `json:"scenario"`
	Claims   []Claim `json:"claims"`
}

// Claim is one promise.
type Claim struct {
	Must     string `json:"must"`
	Measured string `json:"measured"`
	Held     bool   `json:"held"`
}

// atMost promises that a number is not above a bound.
func (r *Row) atMost(what string, measured, bound float64) {
	r.Claims = append(r.Claims, Claim{
		Must: fmt.Sprintf("%s ≤ %.4g", what, bound), Measured: fmt.Sprintf("%.4g", measured), Held: measured <= bound,
	})
}

// atLeast promises that a number is not below a bound.
func (r *Row) atLeast(what string, measured, bound float64) {
	r.Claims = append(r.Claims, Claim{
		Must: fmt.Sprintf("%s ≥ %.4g", what, bound), Measured: fmt.Sprintf("%.4g", measured), Held: measured >= bound,
	})
}

// all promises that something is true of every one of a number.
func (r *Row) all(what string, measured, of int) {
	r.Claims = append(r.Claims, Claim{
		Must: what, Measured: fmt.Sprintf("%d of %d", measured, of), Held: measured == of,
	})
}

// note adds a number that nothing is promised of.
func (r *Row) note(format string, args ...any) {
	r.Claims = append(r.Claims, Claim{Measured: fmt.Sprintf(format, args...), Held: true})
}

// Held reports whether every promise held.
func (r *Row) Held() bool {
	for _, c := range r.Claims {
		if !c.Held {
			return false
		}
	}
	return true
}

// String is a row of a Markdown table: scenario, must hold, measured, held.
func (r *Row) String() string {
	var must, measured []string
	for _, c := range r.Claims {
		text := c.Measured
		if c.Must != "" {
			must = append(must, c.Must)
			text = c.Must + ": " + text
		}
		if !c.Held {
			text = "**" + text + "**"
		}
		measured = append(measured, text)
	}
	held := "held"
	if !r.Held() {
		held = "NOT HELD"
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", r.Scenario, strings.Join(must, "; "), strings.Join(measured, "; "), held)
}

// Table is all rows with their heading.
func Table(rows []*Row) string {
	var b strings.Builder
	b.WriteString("| Scenario | Must hold | Measured | |\n|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintln(&b, r)
	}
	return b.String()
}

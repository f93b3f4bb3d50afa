package bench

import (
	"fmt"
	"slices"
)

// Spread is what the rounds came to. A median alone does not tell whether they
// agree.
type Spread struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

// spreadOf is the zero Spread for no values.
func spreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	return Spread{median(values), slices.Min(values), slices.Max(values)}
}

func (s Spread) times(factor float64) Spread {
	return Spread{s.Median * factor, s.Least * factor, s.Most * factor}
}

// text writes "median (least–most)", each with so many decimals.
func (s Spread) text(decimals int, unit string) string {
	if s == (Spread{}) {
		return "–"
	}
	return fmt.Sprintf("%.*f%s (%.*f–%.*f)", decimals, s.Median, unit, decimals, s.Least, decimals, s.Most)
}

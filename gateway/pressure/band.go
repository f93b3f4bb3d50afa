package pressure

// Band is the stretch of an input over which the gate goes from open to shut:
// at Low and below nothing is shed, at High and above everything. The zero
// value is an input that does not count. 0 ≤ Low < High.
type Band struct {
	Low, High float64
}

// On says whether the input counts.
func (b Band) On() bool { return b.High > 0 }

// Fraction gives (v − Low) / (High − Low), clamped to 0…1. What is no number
// is 0: an input that cannot be measured says so by other means.
func (b Band) Fraction(v float64) float64 {
	switch {
	case !b.On() || !(v > b.Low):
		return 0
	case v >= b.High:
		return 1
	}
	return (v - b.Low) / (b.High - b.Low)
}

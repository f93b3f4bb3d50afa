package pressure

// How much of a fraction may go in one interval. All senders that were turned
// away come back when the gate opens, and what lags behind Kafka needs long to show
// that it is too much: 10 points. What presses in this process shows it at once,
// and a store that is back should be used: two intervals.
const (
	fallLag   = 0.10
	fallLocal = 0.50
)

// track is the fraction that one input asks for, with its memory.
type track struct {
	fraction float64
	shut     bool // it was at High, and has not been below Low since
	cause    string
}

// follow takes the input's value. step is how far the fraction may fall.
func (t *track) follow(b Band, v, step float64) {
	switch {
	case !b.On(), !(v >= b.Low):
		t.shut = false
	case v >= b.High:
		t.shut = true
	}
	target := b.Fraction(v)
	if t.shut {
		target = 1
	}
	t.move(target, step)
}

// force moves to what is decided without a value. A gate that was shut that
// way goes by the next value it sees, wherever that is.
func (t *track) force(target, step float64) {
	t.shut = false
	t.move(target, step)
}

// rounding is what sums of steps may be off by.
const rounding = 1e-9

// move rises at once and falls slowly.
func (t *track) move(target, step float64) {
	if t.fraction -= step; t.fraction < target+rounding {
		t.fraction = target
	}
}

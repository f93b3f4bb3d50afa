package pressure

// The most that a fraction may fall in one interval. When the gate opens, all shed
// senders come back. Consumers behind Kafka take long to show that this is too much, so
// lag falls by 10 points. Pressure from this process shows it at once, and a recovered
// store should be used, so local inputs fall in two intervals.
const (
	fallLag   = 0.10
	fallLocal = 0.50
)

// track is the fraction that one input demands, with its hysteresis.
type track struct {
	fraction float64
	shut     bool // the input reached High and has not been below Low since
	cause    string
}

// follow updates the fraction for the value v. step is the most that it may fall.
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

// force moves the fraction towards a target that no value determines. A gate that was
// shut by force follows the next value at once, without hysteresis.
func (t *track) force(target, step float64) {
	t.shut = false
	t.move(target, step)
}

// rounding bounds the error of sums of steps.
const rounding = 1e-9

// move rises to target at once and falls towards it by at most step.
func (t *track) move(target, step float64) {
	if t.fraction -= step; t.fraction < target+rounding {
		t.fraction = target
	}
}

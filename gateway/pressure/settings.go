package pressure

import (
	"net/netip"
	"time"
)

// Settings are the settings of a gate. They must not change after NewGate.
type Settings struct {
	// Interval is the time between two updates. In one interval a fraction falls by at
	// most 10 points if its cause is lag, and by 50 if it is this process.
	Interval time.Duration
	Lag      LagSettings
	// Classes are the clients with thresholds of their own; the first match counts. All
	// others are in class 0. At most MaxClasses.
	Classes []Class

	BodyMemory     Band // fraction of the budget, 0…1
	UploadAge      Band // seconds that the oldest message has waited for the store
	ProducerBuffer Band // fraction of the limit of events in flight, 0…1
	StoreErrors    Band // fraction of store requests that failed, 0…1
	EventsErrors   Band // fraction of events that failed, 0…1
	UnreadEvents   Band // fraction of the log's bound, 0…1
	OpenFiles      Band // fraction of RLIMIT_NOFILE, 0…1
}

// MaxClasses is the number of classes, besides class 0, that one byte of a session can
// name.
const MaxClasses = 255

// DefaultClass is the name of class 0.
const DefaultClass = "default"

// LagSettings name the consumer groups that must not fall behind, and their thresholds.
type LagSettings struct {
	Groups  []string // consumer groups; none disables the lag inputs
	Records Band     // records behind, of one group, over all partitions
	Age     Band     // age of the group's oldest unconsumed record, in seconds
	// StaleAfter is the age from which a reading no longer counts.
	StaleAfter time.Duration
	OnStale    StalePolicy
}

// StalePolicy is the policy for a group whose lag is unknown.
type StalePolicy uint8

// Policies without a valid reading.
const (
	// Hold keeps the last decision, without a time limit. Before the first reading there
	// is no decision to hold, so it sheds: whether the consumers keep up is unknown.
	Hold StalePolicy = iota
	Open
	Shed
)

// Class is a set of clients with thresholds of its own. A Band that is off falls back to
// that of LagSettings.
type Class struct {
	Name          string
	Networks      []netip.Prefix
	Authenticated bool // clients that have authenticated, from any address
	Records       Band
	Age           Band
}

// Band is the range of an input over which the gate goes from open to shut. At or below
// Low nothing is shed, at or above High everything. The zero value is an input that is
// ignored. 0 ≤ Low < High.
type Band struct {
	Low, High float64
}

// On reports whether the input is enabled.
func (b Band) On() bool { return b.High > 0 }

// Fraction returns (v − Low) / (High − Low), clamped to 0…1. It is 0 for NaN: other
// fields report an input that cannot be measured.
func (b Band) Fraction(v float64) float64 {
	switch {
	case !b.On() || !(v > b.Low):
		return 0
	case v >= b.High:
		return 1
	}
	return (v - b.Low) / (b.High - b.Low)
}

package pressure

import (
	"net/netip"
	"time"
)

// Settings of a gate. They do not change once it was made.
type Settings struct {
	// Interval is the time between two updates. In it a fraction falls by at most
	// 10 points where lag asks for it, 50 where this process does.
	Interval time.Duration
	Lag      LagSettings
	// Classes are the clients with thresholds of their own, the first that
	// fits counts. All others are class 0. At most MaxClasses.
	Classes []Class

	BodyMemory     Band // share of the budget, 0…1
	UploadAge      Band // seconds that the oldest message has waited for the store
	ProducerBuffer Band // share of the events that may be under way, 0…1
	StoreErrors    Band // share of store requests that failed, 0…1
	OpenFiles      Band // share of RLIMIT_NOFILE, 0…1
}

// MaxClasses is what a session's octet can name beside class 0.
const MaxClasses = 255

// DefaultClass is the name of class 0.
const DefaultClass = "default"

// LagSettings say which consumers must not fall behind, and how far.
type LagSettings struct {
	Groups  []string // consumer groups; none switches the lag off
	Records Band     // of one group, over all partitions
	Age     Band     // of its oldest unconsumed record, in seconds
	// StaleAfter is the age at which a reading says nothing any more.
	StaleAfter time.Duration
	OnStale    StalePolicy
}

// StalePolicy says what becomes of a group whose lag is not known.
type StalePolicy uint8

// What is done without a reading.
const (
	// Hold keeps the last decision, without limit. Before the first reading
	// there is none, and it sheds: whether the consumers keep up is not known.
	Hold StalePolicy = iota
	Open
	Shed
)

// Class is a kind of clients with thresholds of its own. A Band that is off
// takes the one of LagSettings.
type Class struct {
	Name          string
	Networks      []netip.Prefix
	Authenticated bool // who has proven who they are, wherever they come from
	Records       Band
	Age           Band
}

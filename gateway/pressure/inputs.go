package pressure

import "time"

// Inputs are the measurements that the gate decides on, all from one moment.
type Inputs struct {
	// Groups are the readings of each group, in the order of LagSettings.Groups. A
	// missing reading counts as None.
	Groups []Reading

	BodyMemory     float64 // fraction of the budget in use
	UploadAge      float64 // seconds
	ProducerBuffer float64 // fraction of the buffer in use
	StoreErrors    float64 // fraction of recent requests that failed
	EventsErrors   float64 // fraction of recent events that failed
	UnreadEvents   float64 // fraction of the log's bound that events take which a group has not read
	OpenFiles      float64 // fraction of RLIMIT_NOFILE in use
}

// Result is the outcome of reading a group's lag.
type Result uint8

// Outcomes of a reading.
const (
	None    Result = iota // no new reading since the last update
	Read                  // the lag is known
	Failed                // the brokers did not answer
	Unknown               // the brokers answered that the group does not exist
)

func (r Result) String() string {
	return [...]string{None: "none", Read: "ok", Failed: "failed", Unknown: "unknown_group"}[r]
}

// Reading is the lag of one group.
type Reading struct {
	Result Result
	// At is the time of the reading. Records and Age are valid only with Read.
	At      time.Time
	Records int64
	Age     time.Duration // of the oldest unconsumed record, 0 when there is none
}

// group is the state that the gate keeps of one consumer group.
type group struct {
	last    Reading // the last reading with result Read
	began   time.Time
	unknown bool
}

func (g *group) take(r Reading, now time.Time) {
	if g.began.IsZero() {
		g.began = now
	}
	switch r.Result {
	case Read:
		g.last, g.unknown = r, false
	case Unknown:
		g.unknown = true
	}
}

// known reports whether there ever was a reading.
func (g *group) known() bool { return g.last.Result == Read }

// staleCause returns the cause for which the last reading no longer counts, "" if it
// counts. A new gate has the time after to get its first reading.
func (g *group) staleCause(now time.Time, after time.Duration) string {
	since := g.began
	if g.known() {
		since = g.last.At
	}
	switch {
	case g.unknown:
		return CauseLagUnknown
	case now.Sub(since) > after:
		return CauseLagStale
	}
	return ""
}

package pressure

import "time"

// Inputs are what the gate decides upon, as of one moment.
type Inputs struct {
	// Groups are the news of each group, in the order of LagSettings.Groups.
	// Too few are as none.
	Groups []Reading

	BodyMemory     float64 // share of the budget in use
	UploadAge      float64 // seconds
	ProducerBuffer float64 // share of the buffer in use
	StoreErrors    float64 // share of requests that failed lately
	OpenFiles      float64 // share of RLIMIT_NOFILE in use
}

// Result is how the reading of a group's lag went.
type Result uint8

// Results of a reading.
const (
	None    Result = iota // no news since the last update
	Read                  // the lag is known
	Failed                // the brokers did not say
	Unknown               // they said that there is no such group
)

func (r Result) String() string {
	return [...]string{None: "none", Read: "ok", Failed: "failed", Unknown: "unknown_group"}[r]
}

// Reading is the lag of one group.
type Reading struct {
	Result Result
	// At is when it was made. Records and Age count with Read only.
	At      time.Time
	Records int64
	Age     time.Duration // of the oldest unconsumed record, 0 when there is none
}

// group is what the gate remembers of one.
type group struct {
	last    Reading // the last with Read
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

// known says whether there was ever a reading.
func (g *group) known() bool { return g.last.Result == Read }

// stale gives the cause why the last reading does not count, "" when it does.
// A gate that has just begun is given the time to make its first.
func (g *group) stale(now time.Time, after time.Duration) string {
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

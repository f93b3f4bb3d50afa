package config

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"
	"unicode"
)

// PressureConfig sets the thresholds at which new sessions are shed with 421 because the
// consumers or a local resource fall behind: nothing is shed at low, everything at high.
type PressureConfig struct {
	Lag            LagConfig
	Classes        []ClassConfig
	Memory         PercentBand // of memory.bodies
	UploadAge      TimeBand    // time that a message waits for the store
	ProducerBuffer PercentBand // of the limit of events in flight
	StoreErrors    PercentBand // of the recent requests to the store
	EventsErrors   PercentBand // of the recent events
	UnreadEvents   PercentBand // of events.embedded.retention_bytes
	OpenFiles      PercentBand // of RLIMIT_NOFILE
}

// LagConfig names the consumer groups that must not fall behind.
type LagConfig struct {
	Groups      []string // none: no lag is read
	LowRecords  int      // of one group
	HighRecords int      // 0: not considered
	LowAge      time.Duration
	HighAge     time.Duration // of the oldest unconsumed event; 0: not considered
	Interval    time.Duration // between two readings
	StaleAfter  time.Duration
	OnStale     string // hold, open or shed
	Uncommitted string // start or ignore
}

// ClassConfig is a class of clients with lag thresholds of its own. A pair of zeros falls
// back to that of LagConfig.
type ClassConfig struct {
	Name          string
	Networks      []netip.Prefix
	Authenticated bool
	LowRecords    int
	HighRecords   int
	LowAge        time.Duration
	HighAge       time.Duration
}

// PercentBand is a pair of thresholds in percent; a High of 0 disables it.
type PercentBand struct{ Low, High int }

// TimeBand is a pair of thresholds; a High of 0 disables it.
type TimeBand struct{ Low, High time.Duration }

// Choices of pressure.lag.on_stale and pressure.lag.uncommitted.
const (
	StaleHold         = "hold"
	StaleOpen         = "open"
	StaleShed         = "shed"
	uncommittedStart  = "start"
	UncommittedIgnore = "ignore"
)

func defaultPressure() PressureConfig {
	return PressureConfig{
		Lag: LagConfig{
			// Users notice mail that is minutes late. A restarting consumer is behind for
			// less than the low threshold.
			LowAge: time.Minute, HighAge: 5 * time.Minute,
			// At the high threshold a consumer of 1,000/s has 100 s of work.
			LowRecords: 20000, HighRecords: 100000,
			Interval:   2 * time.Second,
			StaleAfter: 10 * time.Second, // five readings
			// A broker's restart or a network outage of seconds is no reason to open a
			// gate that was shut, or to shut one that was open.
			OnStale: StaleHold,
			// A partition without a commit is work that waits.
			Uncommitted: uncommittedStart,
		},
		// Waiting for credit shares out a full budget; only load beyond that is shed.
		Memory:         PercentBand{Low: 90, High: 100},
		UploadAge:      TimeBand{Low: 20 * time.Second, High: 60 * time.Second}, // timeouts.store
		ProducerBuffer: PercentBand{Low: 50, High: 90},
		StoreErrors:    PercentBand{Low: 20, High: 80}, // senders retry the occasional failure
		EventsErrors:   PercentBand{Low: 20, High: 80},
		// Half of the bound is left for consumers that are away, and a tenth for the
		// events of one run of retention.
		UnreadEvents: PercentBand{Low: 50, High: 90},
		OpenFiles:    PercentBand{Low: 97, High: 99}, // limits.connections leaves 5 % free
	}
}

// bands returns the pairs of keys of which the first must be below the second.
func (c *Config) bands() []band {
	p := &c.Pressure
	return []band{
		{"pressure.lag.low_records", "pressure.lag.high_records", int64(p.Lag.LowRecords), int64(p.Lag.HighRecords)},
		{"pressure.lag.low_age", "pressure.lag.high_age", int64(p.Lag.LowAge), int64(p.Lag.HighAge)},
		{"pressure.memory.low", "pressure.memory.high", int64(p.Memory.Low), int64(p.Memory.High)},
		{"pressure.upload_age.low", "pressure.upload_age.high", int64(p.UploadAge.Low), int64(p.UploadAge.High)},
		{"pressure.producer_buffer.low", "pressure.producer_buffer.high", int64(p.ProducerBuffer.Low), int64(p.ProducerBuffer.High)},
		{"pressure.store_errors.low", "pressure.store_errors.high", int64(p.StoreErrors.Low), int64(p.StoreErrors.High)},
		{"pressure.events_errors.low", "pressure.events_errors.high", int64(p.EventsErrors.Low), int64(p.EventsErrors.High)},
		{"pressure.unread_events.low", "pressure.unread_events.high", int64(p.UnreadEvents.Low), int64(p.UnreadEvents.High)},
		{"pressure.open_files.low", "pressure.open_files.high", int64(p.OpenFiles.Low), int64(p.OpenFiles.High)},
	}
}

type band struct {
	lowKey, highKey string
	low, high       int64
}

// checkPressure returns a problem for each pair of conflicting keys.
func (c *Config) checkPressure() []*Problem {
	var found []*Problem
	for _, b := range c.bands() {
		if b.high != 0 && b.low >= b.high {
			high := findKey(keys, b.highKey)
			found = append(found, c.conflict(b.lowKey,
				fmt.Sprintf("less than %s, %s", b.highKey, high.place(c)),
				"lower it, or raise "+b.highKey+", or switch both off by a "+b.highKey+" of 0"))
		}
	}
	lag := &c.Pressure.Lag
	if lag.StaleAfter <= lag.Interval {
		found = append(found, c.conflict("pressure.lag.stale_after",
			"more than pressure.lag.interval, "+ShortDuration(lag.Interval)+", or every reading is stale",
			"set e.g. "+c.Setting("pressure.lag.stale_after", ShortDuration(5*lag.Interval))))
	}
	if len(lag.Groups) > 0 && lag.HighRecords == 0 && lag.HighAge == 0 {
		found = append(found, c.conflict("pressure.lag.groups",
			"pressure.lag.high_records or pressure.lag.high_age: without both nothing is ever shed for them",
			"set e.g. "+c.Setting("pressure.lag.high_age", "5m")))
	}
	return found
}

// pressureKeys are the keys of the section pressure.
var pressureKeys = []key{
	{"pressure.lag.groups", func(c *Config) value { return groups{&c.Pressure.Lag.Groups} },
		"a list of different consumer groups, each of at most 249 characters without spaces", `["indexer"]`},
	{"pressure.lag.low_records", func(c *Config) value { return integer{&c.Pressure.Lag.LowRecords, 0, math.MaxInt32} },
		"a whole number below pressure.lag.high_records", "20000"},
	{"pressure.lag.high_records", func(c *Config) value { return integer{&c.Pressure.Lag.HighRecords, 0, math.MaxInt32} },
		"a whole number, 0 to go by age alone", "100000"},
	{"pressure.lag.low_age", func(c *Config) value { return duration{&c.Pressure.Lag.LowAge, 0, maxAge} },
		"a time below pressure.lag.high_age", "1m"},
	{"pressure.lag.high_age", func(c *Config) value { return duration{&c.Pressure.Lag.HighAge, 0, maxAge} },
		"a time up to 720h, 0s to go by records alone", "5m"},
	{"pressure.lag.interval", func(c *Config) value {
		return duration{&c.Pressure.Lag.Interval, 50 * time.Millisecond, time.Minute}
	},
		"a time from 50ms to 1m", "2s"},
	{"pressure.lag.stale_after", func(c *Config) value { return duration{&c.Pressure.Lag.StaleAfter, minTimeout, maxTimeout} },
		"a time above pressure.lag.interval, at most 1h", "10s"},
	{"pressure.lag.on_stale", func(c *Config) value {
		return choice{&c.Pressure.Lag.OnStale, []string{StaleHold, StaleOpen, StaleShed}, nil}
	},
		"hold, open or shed", "hold"},
	{"pressure.lag.uncommitted", func(c *Config) value {
		return choice{&c.Pressure.Lag.Uncommitted, []string{uncommittedStart, UncommittedIgnore}, nil}
	},
		"start or ignore", "start"},
	{"pressure.classes", func(c *Config) value { return classes{&c.Pressure.Classes} },
		"a list of classes, each with a name, networks or authenticated, and thresholds of lag",
		`[{name: "partners", networks: ["192.0.2.0/24"], low_age: 5m, high_age: 15m}]`},

	{"pressure.memory.low", func(c *Config) value { return percent{&c.Pressure.Memory.Low} },
		aPercentage, "90%"},
	{"pressure.memory.high", func(c *Config) value { return percent{&c.Pressure.Memory.High} },
		aHighPercentage, "100%"},
	{"pressure.upload_age.low", func(c *Config) value { return duration{&c.Pressure.UploadAge.Low, 0, maxTimeout} },
		"a time below pressure.upload_age.high", "20s"},
	{"pressure.upload_age.high", func(c *Config) value { return duration{&c.Pressure.UploadAge.High, 0, maxTimeout} },
		"a time up to 1h, 0s to switch it off", "60s"},
	{"pressure.producer_buffer.low", func(c *Config) value { return percent{&c.Pressure.ProducerBuffer.Low} },
		aPercentage, "50%"},
	{"pressure.producer_buffer.high", func(c *Config) value { return percent{&c.Pressure.ProducerBuffer.High} },
		aHighPercentage, "90%"},
	{"pressure.store_errors.low", func(c *Config) value { return percent{&c.Pressure.StoreErrors.Low} },
		aPercentage, "20%"},
	{"pressure.store_errors.high", func(c *Config) value { return percent{&c.Pressure.StoreErrors.High} },
		aHighPercentage, "80%"},
	{"pressure.events_errors.low", func(c *Config) value { return percent{&c.Pressure.EventsErrors.Low} },
		aPercentage, "20%"},
	{"pressure.events_errors.high", func(c *Config) value { return percent{&c.Pressure.EventsErrors.High} },
		aHighPercentage, "80%"},
	{"pressure.unread_events.low", func(c *Config) value { return percent{&c.Pressure.UnreadEvents.Low} },
		aPercentage, "50%"},
	{"pressure.unread_events.high", func(c *Config) value { return percent{&c.Pressure.UnreadEvents.High} },
		aHighPercentage, "90%"},
	{"pressure.open_files.low", func(c *Config) value { return percent{&c.Pressure.OpenFiles.Low} },
		aPercentage, "97%"},
	{"pressure.open_files.high", func(c *Config) value { return percent{&c.Pressure.OpenFiles.High} },
		aHighPercentage, "99%"},
}

// maxAge exceeds the retention of any topic of mail.
const maxAge = 30 * 24 * time.Hour

const (
	aPercentage     = "a percentage below the high one, such as 50%"
	aHighPercentage = "a percentage up to 100%, 0% to switch it off"
)

// isGroup reports whether name is a valid consumer group: Kafka's rule, without spaces
// and control characters.
func isGroup(name string) bool {
	return name != "" && len(name) <= 249 && strings.IndexFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}) < 0
}

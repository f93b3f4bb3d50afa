package main

import (
	"math"
	"strings"
	"time"
	"unicode"
)

// pressureKeys are the keys of the section pressure.
var pressureKeys = []key{
	{"pressure.lag.groups", func(c *Config) value { return groups{&c.Pressure.Lag.Groups} },
		"a list of different consumer groups, each of at most 249 characters without spaces", `["indexer"]`},
	{"pressure.lag.low_records", func(c *Config) value { return wholeNumber{&c.Pressure.Lag.LowRecords, 0, math.MaxInt32} },
		"a whole number below pressure.lag.high_records", "20000"},
	{"pressure.lag.high_records", func(c *Config) value { return wholeNumber{&c.Pressure.Lag.HighRecords, 0, math.MaxInt32} },
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
		return choice{&c.Pressure.Lag.OnStale, []string{staleHold, staleOpen, staleShed}, nil}
	},
		"hold, open or shed", "hold"},
	{"pressure.lag.uncommitted", func(c *Config) value {
		return choice{&c.Pressure.Lag.Uncommitted, []string{uncommittedStart, uncommittedIgnore}, nil}
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
	{"pressure.open_files.low", func(c *Config) value { return percent{&c.Pressure.OpenFiles.Low} },
		aPercentage, "97%"},
	{"pressure.open_files.high", func(c *Config) value { return percent{&c.Pressure.OpenFiles.High} },
		aHighPercentage, "99%"},
}

// maxAge is longer than any topic of mail is kept.
const maxAge = 30 * 24 * time.Hour

const (
	aPercentage     = "a percentage below the high one, such as 50%"
	aHighPercentage = "a percentage up to 100%, 0% to switch it off"
)

// isGroup is what Kafka takes as a consumer group, less what nobody means.
func isGroup(name string) bool {
	return name != "" && len(name) <= 249 && strings.IndexFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}) < 0
}

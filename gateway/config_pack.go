package main

import (
	"math"
	"time"

	"sluice/pipeline/pack"
)

// Choices of store.packing.
const (
	packingAuto = "auto"
	packingOff  = "off"
)

// PackConfig bounds the objects that small messages share.
type PackConfig struct {
	Lanes        int
	MaxBytes     Size
	MaxMessages  int
	MessageLimit Size
	Linger       time.Duration
}

func defaultPack() PackConfig {
	return PackConfig{
		Lanes:        pack.DefaultLanes, // two kept 2,000 sessions busy; one lane's packs are larger, and wait for each other
		MaxBytes:     pack.DefaultOctets,
		MaxMessages:  pack.DefaultMessages,
		MessageLimit: pack.DefaultMessage, // more would cost a store little less in one request than alone
		Linger:       0,                   // a pack grows because the lanes are busy: a wait only adds to the latency
	}
}

// packKeys are store.packing and the section store.pack.
var packKeys = []key{
	{"store.packing", func(c *Config) value {
		return choice{&c.Store.Packing, []string{packingAuto, packingOff}, nil}
	},
		"auto (small messages that are ready together share an object) or off", "auto"},
	{"store.pack.lanes", func(c *Config) value { return wholeNumber{&c.Store.Pack.Lanes, 1, math.MaxInt16} },
		aCount, "2"},
	{"store.pack.max_bytes", func(c *Config) value { return octets{&c.Store.Pack.MaxBytes, 64 * KiB, GiB} },
		"a size from 64KiB to 1GiB", "8MiB"},
	{"store.pack.max_messages", func(c *Config) value { return wholeNumber{&c.Store.Pack.MaxMessages, 2, 65536} },
		"a whole number from 2 to 65536", "4096"},
	{"store.pack.message_limit", func(c *Config) value { return octets{&c.Store.Pack.MessageLimit, 4 * KiB, GiB} },
		"a size from 4KiB to half of store.pack.max_bytes", "1MiB"},
	{"store.pack.linger", func(c *Config) value { return duration{&c.Store.Pack.Linger, 0, time.Second} },
		"a time from 0s to 1s", "0s"},
}

// A pack in which two messages do not surely fit is none.
func checkPack(c *Config) *Problem {
	if c.Store.Pack.MessageLimit <= c.Store.Pack.MaxBytes/2 {
		return nil
	}
	return c.against("store.pack.message_limit",
		"at most half of store.pack.max_bytes, "+(c.Store.Pack.MaxBytes/2).String()+": a pack has room for two",
		"set e.g. "+c.setting("store.pack.message_limit", (c.Store.Pack.MaxBytes/2).String()))
}

// packing is how the store packs, nil when it does not.
func (c *Config) packing(o pack.Observer) *pack.Options {
	if c.Store.Packing == packingOff {
		return nil
	}
	p := &c.Store.Pack
	return &pack.Options{
		Limits: pack.Limits{
			Messages: p.MaxMessages, Octets: int64(p.MaxBytes), Message: int64(p.MessageLimit),
		},
		Lanes: p.Lanes, Linger: p.Linger, Observer: o,
	}
}

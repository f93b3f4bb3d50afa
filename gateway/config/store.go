package config

import (
	"math"
	"time"

	"sluice/pipeline/pack"
)

// StoreConfig says where messages are stored.
type StoreConfig struct {
	Kind    string // the name of one of stores
	Packing string // auto or off
	Pack    PackConfig
	S3      S3Config
}

// KindDir names the object store in a directory, which needs no key except data_dir.
const KindDir = "dir"

var dirKind = kind{
	name:     KindDir,
	describe: func(c *Config, _ string) string { return c.ObjectsDir() },
	alone:    true,
}

// Choices of store.packing.
const (
	PackingAuto = "auto"
	PackingOff  = "off"
)

// PackConfig bounds the packs: objects that small messages share.
type PackConfig struct {
	Lanes        int
	MaxBytes     Size
	MaxMessages  int
	MessageLimit Size
	Linger       time.Duration
}

func defaultStore() StoreConfig {
	return StoreConfig{Kind: KindDir, Packing: PackingAuto, S3: defaultS3(), Pack: PackConfig{
		Lanes:        pack.DefaultLanes, // two kept 2,000 sessions busy; one lane has larger packs, which wait for each other
		MaxBytes:     pack.DefaultBytes,
		MaxMessages:  pack.DefaultMessages,
		MessageLimit: pack.DefaultMessage, // a larger one would cost a store hardly less in a pack than alone
		Linger:       0,                   // a pack grows while the lanes are busy; waiting would only add latency
	}}
}

// storeKeys are the keys of the section store that all kinds share.
var storeKeys = []key{
	{"store.kind", func(c *Config) value { return choice{&c.Store.Kind, namesOf(stores), nil} },
		anyOf(stores), KindDir},
	{"store.packing", func(c *Config) value {
		return choice{&c.Store.Packing, []string{PackingAuto, PackingOff}, nil}
	},
		"auto (small messages that are ready together share an object) or off", "auto"},
	{"store.pack.lanes", func(c *Config) value { return integer{&c.Store.Pack.Lanes, 1, math.MaxInt16} },
		aCount, "2"},
	{"store.pack.max_bytes", func(c *Config) value { return byteSize{&c.Store.Pack.MaxBytes, 64 * KiB, GiB} },
		"a size from 64KiB to 1GiB", "8MiB"},
	{"store.pack.max_messages", func(c *Config) value { return integer{&c.Store.Pack.MaxMessages, 2, 65536} },
		"a whole number from 2 to 65536", "4096"},
	{"store.pack.message_limit", func(c *Config) value { return byteSize{&c.Store.Pack.MessageLimit, 4 * KiB, GiB} },
		"a size from 4KiB to half of store.pack.max_bytes", "1MiB"},
	{"store.pack.linger", func(c *Config) value { return duration{&c.Store.Pack.Linger, 0, time.Second} },
		"a time from 0s to 1s", "0s"},
}

// checkPack requires room for two messages of message_limit in one pack.
func checkPack(c *Config) *Problem {
	if c.Store.Pack.MessageLimit <= c.Store.Pack.MaxBytes/2 {
		return nil
	}
	return c.conflict("store.pack.message_limit",
		"at most half of store.pack.max_bytes, "+(c.Store.Pack.MaxBytes/2).String()+": a pack has room for two",
		"set e.g. "+c.Setting("store.pack.message_limit", (c.Store.Pack.MaxBytes/2).String()))
}

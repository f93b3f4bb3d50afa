package config

import (
	"cmp"
	"math"
	"time"

	"sluice/pipeline/kafka"
)

// EmbeddedConfig is the event log inside the process.
type EmbeddedConfig struct {
	Address    string // of the Kafka protocol
	Partitions int    // of the topic, if it is created
	Retention  time.Duration
	// RetentionBytes bounds the size of the log, but for 4 MiB that each partition may
	// have. 0 is no bound.
	RetentionBytes Size
	// Compression is that of the batches written by this gateway.
	Compression string
}

// KindEmbedded names the event log inside the process.
const KindEmbedded = "embedded"

var embeddedKind = kind{
	name:   KindEmbedded,
	keys:   embeddedKeys,
	checks: []check{{ForServe, single(checkEmbedded)}},
	warnings: func(c *Config) []string {
		if c.Events.Embedded.RetentionBytes > 0 {
			return nil
		}
		return []string{"events.embedded.retention_bytes is 0: the log grows until events are older than events.embedded.retention, and so does its index in memory"}
	},
	describe: func(c *Config, address string) string {
		return cmp.Or(address, c.Events.Embedded.Address) + "   Kafka protocol, topic " + c.Events.Topic
	},
	listens: func(c *Config) (at server, ok bool) {
		address := c.Events.Embedded.Address
		return server{"events.embedded.address", address}, isLoopback(address)
	},
	memory: indexMemory,
	alone:  true,
}

// indexMemory returns the memory for the index of the log's batches, 75 bytes each. A
// batch has at least 800 bytes (docs/memory.md). Without a bound it assumes the default.
func indexMemory(c *Config) int64 {
	log := c.Events.Embedded.RetentionBytes
	if log == 0 {
		log = defaultRetentionBytes
	}
	return int64(log / 32 * 3)
}

// defaultRetentionBytes is for about a million messages. More would need more memory than
// the index has in a small pod.
const defaultRetentionBytes = GiB

func defaultEmbedded() EmbeddedConfig {
	return EmbeddedConfig{
		Address: "127.0.0.1:9094", // next to Kafka's own 9092, so that both can run
		// The broker works on one thread, and each further partition costs two fsyncs
		// (docs/measurements.md, Kafka).
		Partitions: 1,
		Retention:  7 * 24 * time.Hour, // Kafka's own default

		RetentionBytes: defaultRetentionBytes,
		// A user who tries Sluice out reads the log with any client, and not every client
		// brings the libraries of snappy, lz4 and zstd.
		Compression: compressionNone,
	}
}

// embeddedKeys are the keys of the section events.embedded.
var embeddedKeys = []key{
	{"events.embedded.address", func(c *Config) value { return text{&c.Events.Embedded.Address, isAddress} },
		anAddress, `"127.0.0.1:9094"`},
	{"events.embedded.partitions", func(c *Config) value { return integer{&c.Events.Embedded.Partitions, 1, 1000} },
		"a whole number from 1 to 1000", "4"},
	{"events.embedded.retention", func(c *Config) value {
		return duration{&c.Events.Embedded.Retention, time.Minute, math.MaxInt64}
	},
		"a time of at least 1m, with units up to hours", "168h"},
	{"events.embedded.retention_bytes", func(c *Config) value {
		return byteSize{&c.Events.Embedded.RetentionBytes, 0, math.MaxInt64}
	},
		"a size, or 0 for no bound", "1GiB"},
	{"events.embedded.compression", func(c *Config) value {
		return choice{&c.Events.Embedded.Compression, kafka.Compressions(), nil}
	},
		aCompression, "none"},
}

// compressionNone is one of kafka.Compressions.
const compressionNone = "none"

// checkEmbedded requires an address on loopback. The broker has no access control, and
// refuses to listen elsewhere.
func checkEmbedded(c *Config) *Problem {
	if isLoopback(c.Events.Embedded.Address) {
		return nil
	}
	return c.conflict("events.embedded.address", "an address on loopback, because whoever reaches it reads and writes events without a password",
		"set e.g. "+c.Setting("events.embedded.address", `"127.0.0.1:9094"`)+", or for clients elsewhere "+c.Setting("events.kind", KindKafka))
}

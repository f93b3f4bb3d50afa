package config

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"sluice/gateway/resolver"
)

// DNSConfig says which DNS servers are asked for the verification of mail, and how.
type DNSConfig struct {
	Resolvers []string      // recursive servers, IP or IP:port; none: those of /etc/resolv.conf
	Timeout   time.Duration // of one question to one server
	Cache     Size
}

func defaultDNS() DNSConfig {
	return DNSConfig{Timeout: resolver.DefaultTimeout, Cache: resolver.DefaultCacheBytes}
}

// dnsKeys are the keys of the section dns.
var dnsKeys = []key{
	{"dns.resolvers", func(c *Config) value { return resolvers{words{&c.DNS.Resolvers}} },
		"a list of at most 8 different IP addresses of recursive DNS servers, each with or without a port, or [] for those of /etc/resolv.conf",
		`["192.0.2.53", "[2001:db8::53]:5353"]`},
	{"dns.timeout", func(c *Config) value { return duration{&c.DNS.Timeout, 10 * time.Millisecond, time.Minute} },
		"a time from 10ms to 1m, for one question to one server", "3s"},
	// An answer has up to 64 KiB, and a shard of the cache has to hold it.
	{"dns.cache", func(c *Config) value { return byteSize{&c.DNS.Cache, 2 * MiB, 64 * GiB} },
		"a size from 2MiB to 64GiB", "64MiB"},
}

// maxResolvers bounds the time for one question, which may be asked of each.
const maxResolvers = 8

// resolvers is a list of DNS servers.
type resolvers struct{ words }

func (v resolvers) check() *valueError {
	if len(*v.at) > maxResolvers {
		return outOfRange(fmt.Sprintf("%d of them", len(*v.at)))
	}
	var known []string
	for i, text := range *v.at {
		address, err := resolver.ParseServer(text)
		switch f := (&valueError{got: strconv.Quote(text), at: itemAt(i)}); {
		case err != nil && isDomain(text):
			f.why = "a name: nobody can be asked for its address yet"
			return f
		case err != nil:
			return f
		case slices.Contains(known, address):
			f.why = "duplicate"
			return f
		}
		known = append(known, address)
	}
	return nil
}

// DNSSockets returns how many sockets questions may have at once: those that connections
// leave, and a quarter of what is kept free for everything else.
func (c *Config) DNSSockets() int {
	m := c.machine
	if m.Files == 0 {
		return resolver.MaxInFlight
	}
	return min(resolver.MaxInFlight, m.headroom()/4+max(0, m.connections()-c.Limits.Connections))
}

// memoryOfQuestion is that of a question that waits for a server: a goroutine, its timers,
// and a buffer for the answer.
const memoryOfQuestion = 16 * KiB

// DNSMemory returns the most bytes that the answers and questions of verification take of
// the heap. An answer by TCP has up to 64 KiB, and the sum leaves out that many may.
func (c *Config) DNSMemory() int64 {
	return int64(c.DNS.Cache) + int64(resolver.MaxInFlight)*int64(memoryOfQuestion)
}

package config

import (
	"math"
	"slices"
	"strings"
	"time"
)

// key is one leaf of the configuration.
type key struct {
	path     string // as nested in YAML, with dots
	place    func(*Config) value
	expected string // the valid values, with the reasons for their bounds
	example  string // a valid value, as YAML
}

// env returns the name of the key's environment variable.
func (k *key) env() string { return envName(k.path) }

// keys is the table of all keys, in the order in which they are printed. The keys of a
// section stand together.
var keys []key

// init fills the table. The rules of a kind look up keys, and the keys of a kind are part
// of the table, which Go would otherwise take for an initialization cycle.
func init() {
	keys = slices.Concat(mainKeys, tlsKeys, authKeys, ldapKeys, oidcKeys, storeKeys, keysOf(stores), eventKeys, keysOf(logs), dnsKeys, verifyKeys, indexKeys, drainKeys, pressureKeys, processKeys)
}

var mainKeys = []key{
	{"hostname", func(c *Config) value { return text{&c.Hostname, isHostname} },
		"a domain of letters, digits and hyphens (RFC 5321 §4.1.2)", "mx1.example.net"},
	{"data_dir", func(c *Config) value { return text{&c.DataDir, isPath} },
		"the path of a folder", "./sluice-data"},
	{"unsafe_discard", func(c *Config) value { return boolean{&c.UnsafeDiscard} },
		trueOrFalse, "false"},
	{"listeners", func(c *Config) value { return listeners{&c.Listeners} },
		"a list of different addresses, each " + anAddress + moreOfListener, `[{address: "127.0.0.1:2525"}]`},
	{"admin.address", func(c *Config) value { return text{&c.Admin.Address, isAddress} },
		anAddress, `"127.0.0.1:8025"`},
	{"admin.token", func(c *Config) value { return secretValue{&c.Admin.Token} },
		"a text of at least 16 printable characters, which a browser asks for, or none", "0123456789abcdef"},
	{"log.level", func(c *Config) value { return level{&c.Log.Level} },
		"debug, info, warn or error", "info"},
	{"log.messages", func(c *Config) value { return messageShare{&c.Log.Messages} },
		"all, off, or the share of accepted messages that have a line, above 0 and at most 1, such as 0.1", "all"},
	{"log.format", func(c *Config) value { return choice{&c.Log.Format, []string{FormatText, FormatJSON}, nil} },
		"text or json", "text"},
	{"trusted_networks", func(c *Config) value { return networks{&c.TrustedNetworks} },
		"a list of IP addresses and prefixes", `["192.0.2.0/24", "2001:db8::1"]`},
	{"smuggling", func(c *Config) value {
		return choice{&c.Smuggling, []string{smugglingStrict, SmugglingTolerate}, nil}
	},
		"strict (a message with a bare CR, a bare LF or a NUL is refused) or tolerate (it is stored as it is, and its event says so)", "strict"},
	{"smuggling_exempt", func(c *Config) value { return networks{&c.SmugglingExempt} },
		"a list of IP addresses and prefixes", `["192.0.2.0/24", "2001:db8::1"]`},
	{"accept.domains", func(c *Config) value { return domains{&c.Accept.Domains} },
		`a list of domains (RFC 5321 §4.1.2), or "*.sub" for all below sub`, `["example.net", "*.example.net"]`},
	{"accept.any", func(c *Config) value { return boolean{&c.Accept.Any} },
		trueOrFalse, "false"},
	{"accept.recipients_file", func(c *Config) value { return text{&c.Accept.RecipientsFile, isOptionalPath} },
		"the path of a file with an address (user@example.net), or a domain (@example.net), in each line", "/etc/sluice/recipients"},
	{"accept.recipient_delimiter", func(c *Config) value { return text{&c.Accept.RecipientDelimiter, isDelimiter} },
		`one of the characters + - = _ . # ~ ! %, or "" for none`, `"+"`},

	{"strict_paths", func(c *Config) value { return boolean{&c.StrictPaths} },
		trueOrFalse, "false"},

	{"limits.message_size", func(c *Config) value { return byteSize{&c.Limits.MessageSize, 64 * KiB, 2 * GiB} },
		"a size from 64KiB (RFC 5321 §4.5.3.1.7) to 2GiB", "50MiB"},
	// The event of a message names all its recipients, and a broker accepts records of 1
	// MiB unless configured otherwise (message.max.bytes). 3,000 paths of 256 octets (RFC
	// 5321 §4.5.3.1.3) fit, with the overhead of JSON.
	{"limits.recipients", func(c *Config) value { return integer{&c.Limits.Recipients, 100, 3000} },
		"a whole number of at least 100 (RFC 5321 §4.5.3.1.8) and at most 3000 (more would not fit in one event)", "1000"},
	{"limits.connections", func(c *Config) value { return integer{&c.Limits.Connections, 1, math.MaxInt32} },
		"a whole number of at least 1", "1000"},
	{"limits.connections_per_ip", func(c *Config) value { return integer{&c.Limits.ConnectionsPerIP, 0, math.MaxInt32} },
		"a whole number, 0 for no limit", "1000"},
	{"limits.stalled_sessions", func(c *Config) value { return integer{&c.Limits.StalledSessions, 1, math.MaxInt32} },
		"a whole number of at least 1", "256"},
	{"limits.command_errors", func(c *Config) value { return integer{&c.Limits.CommandErrors, 1, math.MaxInt16} },
		aCount, "20"},
	{"limits.recipient_errors", func(c *Config) value { return integer{&c.Limits.RecipientErrors, 1, math.MaxInt16} },
		aCount, "20"},
	{"limits.junk_commands", func(c *Config) value { return integer{&c.Limits.JunkCommands, 1, math.MaxInt16} },
		aCount, "100"},
	{"limits.messages", func(c *Config) value { return integer{&c.Limits.Messages, 1, math.MaxInt32} },
		"a whole number of at least 1", "1000"},
	{"limits.received_headers", func(c *Config) value { return integer{&c.Limits.ReceivedHeaders, 100, math.MaxInt16} },
		"a whole number of at least 100 (RFC 5321 §6.3) and at most 32767", "100"},
	{"limits.min_data_rate", func(c *Config) value { return byteSize{&c.Limits.MinDataRate, 0, MiB} },
		"the least bytes of mail text per second that a client must send, from 0 (any rate) to 1MiB", "500"},

	{"timeouts.proxy", func(c *Config) value { return duration{&c.Timeouts.Proxy, minTimeout, maxTimeout} },
		aTimeout, "5s"},
	{"timeouts.handshake", func(c *Config) value { return duration{&c.Timeouts.Handshake, minTimeout, maxTimeout} },
		aTimeout, "30s"},
	{"timeouts.auth", func(c *Config) value { return duration{&c.Timeouts.Auth, minTimeout, maxTimeout} },
		aTimeout, "20s"},
	{"timeouts.greeting", func(c *Config) value { return duration{&c.Timeouts.Greeting, minTimeout, maxTimeout} },
		aTimeout, "5m"},
	{"timeouts.command", func(c *Config) value { return duration{&c.Timeouts.Command, minTimeout, maxTimeout} },
		aTimeout, "5m"},
	{"timeouts.data_start", func(c *Config) value { return duration{&c.Timeouts.DataStart, minTimeout, maxTimeout} },
		aTimeout, "2m"},
	{"timeouts.data_block", func(c *Config) value { return duration{&c.Timeouts.DataBlock, minTimeout, maxTimeout} },
		aTimeout, "3m"},
	{"timeouts.credit", func(c *Config) value { return duration{&c.Timeouts.Credit, minTimeout, senderDataInit - 1} },
		"a time from 1ms to less than 2m, which is how long a sender waits for 354 (RFC 5321 §4.5.3.2.4)", "90s"},
	{"timeouts.store", func(c *Config) value { return duration{&c.Timeouts.Store, minTimeout, senderFinalDot - 1} },
		"a time from 1ms to timeouts.message", "60s"},
	{"timeouts.message", func(c *Config) value { return duration{&c.Timeouts.Message, minTimeout, senderFinalDot - 1} },
		"a time from 1ms to less than 10m, which is how long a sender waits for the final answer (RFC 5321 §4.5.3.2.6)", "5m"},
	{"timeouts.stall", func(c *Config) value { return duration{&c.Timeouts.Stall, minTimeout, maxTimeout} },
		aTimeout, "1m"},

	{"memory.bodies", func(c *Config) value { return memoryShare{&c.Memory.Bodies} },
		"a share of the memory from 1% to 75%, or a size such as 512MiB", "25%"},
	{"socket.send_buffer", func(c *Config) value { return byteSize{&c.Socket.SendBuffer, 4 * KiB, 16 * MiB} },
		aBuffer, "32KiB"},
	{"socket.receive_buffer", func(c *Config) value { return byteSize{&c.Socket.ReceiveBuffer, 4 * KiB, 16 * MiB} },
		aBuffer, "128KiB"},
}

var drainKeys = []key{
	{"drain.grace", func(c *Config) value { return duration{&c.Drain.Grace, 0, maxTimeout} },
		"a time from 0s to 1h", "0s"},
	{"drain.deadline", func(c *Config) value { return duration{&c.Drain.Deadline, minTimeout, maxTimeout} },
		aTimeout, "60s"},
}

// Bounds and expectations that several keys share.
const (
	minTimeout = time.Millisecond
	maxTimeout = time.Hour

	senderDataInit = 2 * time.Minute  // RFC 5321 §4.5.3.2.4
	senderFinalDot = 10 * time.Minute // RFC 5321 §4.5.3.2.6

	trueOrFalse    = "true or false"
	moreOfListener = ", and if need be role (mx, or submission for users who authenticate), tls (off, starttls, required or implicit), proxy_protocol (off or required), proxy_networks and xclient_networks"

	anAddress    = `an IP address and a port, such as "127.0.0.1:2525" or ":25"`
	aCount       = "a whole number from 1 to 32767"
	aTimeout     = "a time from 1ms to 1h, with its unit, such as 90s or 5m"
	aCompression = "none, gzip, snappy, lz4 or zstd"
	aBuffer      = "a size from 4KiB to 16MiB"
)

func isOptionalPath(text string) bool { return text == "" || isPath(text) }

func isDelimiter(text string) bool {
	return text == "" || len(text) == 1 && strings.Contains("+-=_.#~!%", text)
}

func isPath(text string) bool { return text != "" && !strings.Contains(text, "\x00") }

// findKey returns the key of a path, nil if there is none.
func findKey(table []key, path string) *key {
	i := slices.IndexFunc(table, func(k key) bool { return k.path == path })
	if i < 0 {
		return nil
	}
	return &table[i]
}

// isSection reports whether table has keys below path.
func isSection(table []key, path string) bool {
	return slices.ContainsFunc(table, func(k key) bool { return strings.HasPrefix(k.path, path+".") })
}

// nearest returns the key that a wrong path may have meant, "" if no key is near: one
// with the same name elsewhere, or one with a few different letters.
func nearest(table []key, path string) string {
	name := path[strings.LastIndexByte(path, '.')+1:]
	best, least := "", 4
	for _, k := range table {
		if strings.HasSuffix(k.path, "."+name) {
			return k.path
		}
		if d := distance(path, k.path); d < least {
			best, least = k.path, d
		}
	}
	return best
}

// distance returns the number of letters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Package config holds the configuration of Sluice: its keys and their defaults, reading
// and printing it, and the checks that find all problems at once.
package config

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"time"

	"sluice/gateway/certificates"
	"sluice/gateway/identity/static"
	"sluice/gateway/recipients"
	"sluice/gateway/senders"
)

// Config is everything that can be configured. The table in keys.go names its keys, as
// used in the YAML file and the environment; defaults.go has the reasons for the
// defaults. A Config is made by DefaultConfig or Load. It is read-only once it has been
// validated.
type Config struct {
	// Hostname is the name of the gateway in the greeting, in EHLO and in the Received
	// field.
	Hostname string
	// DataDir holds the data of the embedded store and event log.
	DataDir string
	// UnsafeDiscard allows the kind discard, which answers 250 and throws the message
	// away.
	UnsafeDiscard bool
	Listeners     []ListenerConfig
	TLS           TLSConfig
	Auth          AuthConfig
	Verify        VerifyConfig
	Admin         AdminConfig
	Log           LogConfig
	// TrustedNetworks are exempt from limits.connections_per_ip.
	TrustedNetworks []netip.Prefix
	// Smuggling is the policy for a message with a bare CR, a bare LF or a NUL, which
	// could hide a second message: strict refuses it, tolerate stores it.
	Smuggling string
	// SmugglingExempt are networks of devices that cannot do better; their messages are
	// stored.
	SmugglingExempt []netip.Prefix
	Accept          AcceptConfig
	// StrictPaths refuses departures from the grammar in MAIL and RCPT that common
	// servers accept: missing angle brackets, and dots that begin or end a sender's local
	// part or follow each other.
	StrictPaths bool
	Limits      LimitsConfig
	Timeouts    TimeoutsConfig
	Memory      MemoryConfig
	Socket      SocketConfig
	Store       StoreConfig
	Events      EventsConfig
	DNS         DNSConfig
	Index       IndexConfig
	Drain       DrainConfig
	Pressure    PressureConfig
	Process     ProcessConfig

	recipients   *recipients.List  // of Accept.RecipientsFile, once it was validated
	certificates *certificates.Set // of TLS, likewise
	users        *static.Users     // of Auth.Static.File, likewise
	senders      *senders.Policy   // of Auth.Senders, likewise

	machine Machine
	file    string            // "" for none
	origins map[string]origin // by key; a key without one has its default
}

// Recipients returns the list of the addresses that exist, nil for all. It is read when
// the configuration is validated.
func (c *Config) Recipients() *recipients.List { return c.recipients }

// ShareRecipients makes c use the list of recipients of before if it has the same text, so
// that a reload does not hold it twice for as long as sessions have the former.
func (c *Config) ShareRecipients(before *Config) {
	if a, b := c.recipients, before.recipients; a != nil && b != nil && a.Sum() == b.Sum() {
		c.recipients = b
	}
}

// Machine returns the machine that the configuration was made for.
func (c *Config) Machine() Machine { return c.machine }

// File returns the path of the configuration file, "" for none.
func (c *Config) File() string { return c.file }

// KeysSet returns the number of keys that are set, as opposed to left at their default.
func (c *Config) KeysSet() int { return len(c.origins) }

// SetByFlagOrEnv reports whether a flag or the environment set the key.
func (c *Config) SetByFlagOrEnv(path string) bool {
	layer := c.origins[path].layer
	return layer == byFlag || layer == byEnv
}

// AdminConfig is the HTTP server for /metrics, /livez and /readyz, and for the pages of the
// index.
type AdminConfig struct {
	Address string
	// Token is what those must know who search for mail by it, empty for nobody but this
	// machine.
	Token Secret
}

// LogConfig is the format of the log, and what it has.
type LogConfig struct {
	Level    slog.Level
	Messages float64 // share of the accepted messages that have a line, 0 for none
	Format   string  // text or json
}

// AcceptConfig says for which recipient domains mail is accepted. An edge gateway is not
// an open relay: a recipient in neither is refused with 550 5.7.1.
type AcceptConfig struct {
	Domains []string // lower case; exact, or *.sub for all below sub
	Any     bool
	// RecipientsFile names the file of the addresses that exist, "" if all of the
	// accepted domains do.
	RecipientsFile string
	// RecipientDelimiter is the character that begins what follows the name of a
	// recipient in its local part, "" for none.
	RecipientDelimiter string
}

// LimitsConfig bounds what one client or message may use.
type LimitsConfig struct {
	MessageSize      Size
	Recipients       int // of one message
	Connections      int
	ConnectionsPerIP int  // 0 means no limit
	StalledSessions  int  // whose clients do not read their replies
	CommandErrors    int  // of one connection, between two accepted messages
	RecipientErrors  int  // refused recipients and messages, likewise
	JunkCommands     int  // NOOP, RSET, VRFY, EHLO between two messages
	Messages         int  // of one connection
	ReceivedHeaders  int  // of one message
	MinDataRate      Size // bytes of mail text per second, over a minute or timeouts.data_block
}

// TimeoutsConfig bounds every wait.
type TimeoutsConfig struct {
	Proxy     time.Duration // for the PROXY header
	Handshake time.Duration // of TLS
	Auth      time.Duration // of an attempt to authenticate
	Greeting  time.Duration // from the greeting to the first command
	Command   time.Duration // for the next command
	DataStart time.Duration // from 354 to the first byte of the message
	DataBlock time.Duration // between two pieces of a message
	Credit    time.Duration // of a message for body memory, before its 354
	Store     time.Duration // of one request to the object store
	Message   time.Duration // from the final dot to the reply
	Stall     time.Duration // of a client that does not read its replies
}

// MemoryConfig bounds memory.
type MemoryConfig struct {
	Bodies Share // all message bodies that are not stored yet, together
}

// SocketConfig sets the socket buffers of each connection.
type SocketConfig struct {
	SendBuffer    Size // SO_SNDBUF
	ReceiveBuffer Size // SO_RCVBUF
}

// DrainConfig bounds the shutdown of a running gateway after SIGTERM.
type DrainConfig struct {
	Grace    time.Duration // not ready, but still greeting
	Deadline time.Duration // for the open transactions, after the grace
}

// ObjectsDir returns the directory of the store of kind dir.
func (c *Config) ObjectsDir() string { return filepath.Join(c.DataDir, "objects") }

// EventsDir returns the directory of the event log of kind embedded.
func (c *Config) EventsDir() string { return filepath.Join(c.DataDir, "events") }

// BodyMemory returns memory.bodies in bytes.
func (c *Config) BodyMemory() int64 { return c.Memory.Bodies.of(c.machine.Memory) }

// Addresses returns the addresses of the listeners.
func (c *Config) Addresses() []string {
	var all []string
	for _, l := range c.Listeners {
		all = append(all, l.Address)
	}
	return all
}

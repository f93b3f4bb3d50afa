// Package config is the configuration of Sluice: what can be set, where a value comes
// from, and what is wrong with it.
package config

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"time"
)

// Config is everything that can be set. Its keys, as the YAML file and the
// environment name them, stand in the table of keys.go; the reasons
// for the defaults in defaults.go. A Config is made by DefaultConfig or
// Load and is read only once it was validated.
type Config struct {
	// Hostname is how the gateway names itself in the greeting, in EHLO and
	// in the Received line.
	Hostname string
	// DataDir holds what the embedded store and event log keep.
	DataDir string
	// UnsafeDiscard allows the kind discard, which answers 250 for what it
	// throws away.
	UnsafeDiscard bool
	Listeners     []ListenerConfig
	Admin         AdminConfig
	Log           LogConfig
	// TrustedNetworks are exempt from limits.connections_per_ip.
	TrustedNetworks []netip.Prefix
	// Smuggling says what becomes of a message with a bare CR, a bare LF or a NUL, in
	// which a second message could hide: strict refuses it, tolerate stores it.
	Smuggling string
	// SmugglingExempt are networks of devices that know no better: theirs are stored.
	SmugglingExempt []netip.Prefix
	Accept          AcceptConfig
	// StrictPaths refuses what common servers take in MAIL and RCPT: no angle brackets,
	// dots that begin or end a sender's local part or follow each other.
	StrictPaths bool
	Limits      LimitsConfig
	Timeouts    TimeoutsConfig
	Memory      MemoryConfig
	Socket      SocketConfig
	Store       StoreConfig
	Events      EventsConfig
	Drain       DrainConfig
	Pressure    PressureConfig
	Process     ProcessConfig

	machine Machine
	file    string            // "" for none
	origins map[string]origin // by key; a key without one has its default
}

// Machine returns the machine that the configuration was made for.
func (c *Config) Machine() Machine { return c.machine }

// File returns the path of the configuration file, "" for none.
func (c *Config) File() string { return c.file }

// KeysSet returns the number of keys that are not left at their default.
func (c *Config) KeysSet() int { return len(c.origins) }

// SetByFlagOrEnv reports whether the command line or the environment set a key.
func (c *Config) SetByFlagOrEnv(path string) bool {
	layer := c.origins[path].layer
	return layer == byFlag || layer == byEnv
}

// ListenerConfig is one address that takes SMTP connections.
type ListenerConfig struct {
	Address string // host:port; no host means all addresses, port 0 a free port
}

// AdminConfig is the HTTP server for /metrics, /livez and /readyz.
type AdminConfig struct {
	Address string
}

// LogConfig is how the journal writes.
type LogConfig struct {
	Level  slog.Level
	Format string // text or json
}

// AcceptConfig says whose mail is taken. An edge gateway is no open relay:
// a recipient in neither is answered 550 5.7.1.
type AcceptConfig struct {
	Domains []string // lower case; exact, or *.sub for all below sub
	Any     bool
}

// LimitsConfig bounds what one client or message may take.
type LimitsConfig struct {
	MessageSize      Size
	Recipients       int // of one message
	Connections      int
	ConnectionsPerIP int  // 0 is no limit
	CommandErrors    int  // of one connection, between two accepted messages
	RecipientErrors  int  // refused recipients and messages, likewise
	JunkCommands     int  // NOOP, RSET, VRFY, EHLO between two messages
	Messages         int  // of one connection
	ReceivedHeaders  int  // of one message
	MinDataRate      Size // octets of mail text a second, over a minute or timeouts.data_block
}

// TimeoutsConfig bounds every wait.
type TimeoutsConfig struct {
	Greeting  time.Duration // from the greeting to the first command
	Command   time.Duration // for the next command
	DataStart time.Duration // from 354 to the first octet of the message
	DataBlock time.Duration // between two pieces of a message
	Credit    time.Duration // of a message for body memory, before its 354
	Store     time.Duration // of one request to the object store
	Message   time.Duration // from the final dot to the answer
	Stall     time.Duration // of a client that does not read its replies
}

// MemoryConfig bounds memory.
type MemoryConfig struct {
	Bodies Share // message bodies that are not stored yet, all together
}

// SocketConfig sets the kernel's buffers of each connection.
type SocketConfig struct {
	SendBuffer    Size // SO_SNDBUF
	ReceiveBuffer Size // SO_RCVBUF
}

// DrainConfig is how a running gateway ends after SIGTERM.
type DrainConfig struct {
	Grace    time.Duration // not ready, but still greeting
	Deadline time.Duration // for the open transactions, after the grace
}

// ObjectsDir is the folder of the store of kind dir.
func (c *Config) ObjectsDir() string { return filepath.Join(c.DataDir, "objects") }

// EventsDir is the folder of the event log of kind embedded.
func (c *Config) EventsDir() string { return filepath.Join(c.DataDir, "events") }

// BodyMemory is memory.bodies in octets.
func (c *Config) BodyMemory() int64 { return c.Memory.Bodies.of(c.machine.Memory) }

// Addresses returns the addresses of the listeners.
func (c *Config) Addresses() []string {
	var all []string
	for _, l := range c.Listeners {
		all = append(all, l.Address)
	}
	return all
}

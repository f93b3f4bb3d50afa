package config

import (
	"log/slog"
	"time"

	"sluice/gateway/senders"
)

// Formats of the log.
const (
	FormatText = "text" // key=value (slog.TextHandler)
	FormatJSON = "json" // one object a line (slog.JSONHandler)
)

// Policies for a message with a bare CR, a bare LF or a NUL.
const (
	smugglingStrict   = "strict"
	SmugglingTolerate = "tolerate"
)

// maxDefaultConnections is the number measured on one machine with two cores. A higher
// number must be set explicitly.
const maxDefaultConnections = 19000

// DefaultConfig returns the configuration that applies when nothing is set. It depends on
// the machine's host name, open-file limit and memory.
func DefaultConfig() Config { return DefaultOn(ThisMachine()) }

// DefaultOn returns the default configuration for the machine m.
func DefaultOn(m Machine) Config {
	return Config{
		Hostname: m.Hostname, // localhost if the machine's name is not a domain
		DataDir:  "./sluice-data",
		// Loopback and an unprivileged port: trying Sluice out needs no privilege and
		// exposes nothing.
		Listeners: []ListenerConfig{{Address: "127.0.0.1:2525", Role: RoleMX, ProxyProtocol: ProxyOff, TLS: TLSOff}},
		TLS:       defaultTLS(),
		Auth:      defaultAuth(),
		Verify:    defaultVerify(),
		senders:   senders.Named(defaultAuth().Senders),
		Admin:     AdminConfig{Address: "127.0.0.1:8025"}, // has no password, so loopback
		// Refusals are logged at info. Whoever is asked for a message of last night finds
		// it by its line.
		Log: LogConfig{Level: slog.LevelInfo, Messages: 1, Format: FormatText},
		// True only because the default listener is on loopback. Load sets it to false if
		// there is a configuration file, and Validate refuses the default on any other
		// address.
		Accept: AcceptConfig{Any: true},
		// Devices and old programs omit the brackets, and addresses with such dots exist.
		// Postfix and Exim accept both.
		StrictPaths: false,
		// RFC 5321 §2.3.8 forbids senders bare CR and LF. A relay that forwards the
		// object may send them to a server that takes them for the end of the message
		// (CVE-2023-51764).
		Smuggling: smugglingStrict,
		Limits:    defaultLimits(m),
		Timeouts:  defaultTimeouts(),
		Memory:    MemoryConfig{Bodies: Share{Percent: 25}}, // leaves room for the growth of the heap and for socket buffers
		Socket: SocketConfig{
			// The kernel accepted 4.1 MB of replies for a client that did not read before
			// the client looked stalled, and 1.3 MB from a paused sender. Both count as
			// memory of the container. Larger ones made nothing faster on loopback, half as
			// large ones slowed senders that pipeline (docs/measurements.md, Memory).
			SendBuffer:    32 * KiB,
			ReceiveBuffer: 128 * KiB,
		},
		Store:  defaultStore(),
		Events: defaultEvents(),
		DNS:    defaultDNS(),
		Index:  defaultIndex(),
		Drain: DrainConfig{
			Grace:    0,                // for load balancers that take time to see /readyz fail
			Deadline: 60 * time.Second, // one store request (timeouts.store)
		},
		Pressure: defaultPressure(),
		// On CPUs shared with clients, store and broker a message needs less CPU time
		// (docs/measurements.md, Scheduling).
		Process: ProcessConfig{Scheduling: SchedulingBatch},
		machine: m,
	}
}

func defaultLimits(m Machine) LimitsConfig {
	return LimitsConfig{
		MessageSize:      50 * MiB, // RFC 5321 §4.5.3.1.7 asks for 64 KiB; large providers take 25 to 50 MB
		Recipients:       1000,     // RFC 5321 §4.5.3.1.8 asks for 100; 1,000 is what Postfix takes
		Connections:      min(maxDefaultConnections, m.connections()),
		ConnectionsPerIP: 1000, // a large provider may use one address, but one address must not use all
		StalledSessions:  m.stalledSessions(),
		CommandErrors:    20,   // Postfix's smtpd_hard_error_limit
		RecipientErrors:  20,   // the same limit: Postfix counts both together
		JunkCommands:     100,  // Postfix's smtpd_junk_command_limit
		Messages:         1000, // so that the balancer spreads long-lived senders again
		ReceivedHeaders:  100,  // RFC 5321 §6.3
		MinDataRate:      500,  // Postfix's smtpd_min_data_rate
	}
}

func defaultTimeouts() TimeoutsConfig {
	return TimeoutsConfig{
		Proxy:     5 * time.Second,  // the balancer is near and sends it at once
		Handshake: 30 * time.Second, // two round trips, and a place among those that compute
		Auth:      20 * time.Second,
		Greeting:  5 * time.Minute, // RFC 5321 §4.5.3.2.7: a server waits at least 5 min for a command
		Command:   5 * time.Minute, // RFC 5321 §4.5.3.2.7
		DataStart: 2 * time.Minute, // RFC 5321 §4.5.3.2.4, the sender's own wait for 354
		DataBlock: 3 * time.Minute, // RFC 5321 §4.5.3.2.5
		// Below the sender's two minutes for 354 (RFC 5321 §4.5.3.2.4), with room for the
		// network: a sender that has given up would not read our 452.
		Credit: 90 * time.Second,
		Store:  60 * time.Second,
		// Half of the sender's ten minutes for the final reply (RFC 5321 §4.5.3.2.6): a
		// sender that gives up first causes a duplicate.
		Message: 5 * time.Minute,
		Stall:   time.Minute,
	}
}

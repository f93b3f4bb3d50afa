package config

import (
	"log/slog"
	"time"
)

// Formats of the log.
const (
	FormatText = "text" // key=value (slog.TextHandler)
	FormatJSON = "json" // one object a line (slog.JSONHandler)
)

// What becomes of a message with a bare CR, a bare LF or a NUL.
const (
	smugglingStrict   = "strict"
	SmugglingTolerate = "tolerate"
)

// maxDefaultConnections is what was measured on one machine with two cores;
// more is asked for explicitly.
const maxDefaultConnections = 19000

// DefaultConfig is the embedded default: what runs when nothing is set. It
// depends on the machine in its host name, its open-file limit and its memory.
func DefaultConfig() Config { return DefaultOn(ThisMachine()) }

// DefaultOn is DefaultConfig on a machine other than this one.
func DefaultOn(m Machine) Config {
	return Config{
		Hostname: m.Hostname, // localhost when the machine's name is no domain
		DataDir:  "./sluice-data",
		// Loopback and an unprivileged port: trying it out needs no right and
		// opens nothing.
		Listeners: []ListenerConfig{{Address: "127.0.0.1:2525"}},
		Admin:     AdminConfig{Address: "127.0.0.1:8025"}, // open without a password, so loopback
		// Refusals are at info, acceptances at debug: the event is their record. In
		// text and on loopback alone, where somebody tries it out, they are at info too.
		Log: LogConfig{Level: slog.LevelInfo, Format: FormatText},
		// True only because the default listener is on loopback: Load
		// sets it to false when there is a config file, and Validate refuses
		// the default on any other address.
		Accept: AcceptConfig{Any: true},
		// Devices and old programs leave the brackets out, and addresses with such
		// dots exist: Postfix and Exim take them.
		StrictPaths: false,
		// RFC 5321 §2.3.8 forbids senders bare CR and LF, and whoever relays the object
		// on may send them to a server that takes them for the end (CVE-2023-51764).
		Smuggling: smugglingStrict,
		Limits:    defaultLimits(m),
		Timeouts:  defaultTimeouts(),
		Memory:    MemoryConfig{Bodies: Share{Percent: 25}}, // leaves room for the heap's growth and for socket buffers
		Socket: SocketConfig{
			// The kernel took 4.1 MB of replies for a client that did not
			// read before anything looked stalled, and 1.3 MB from a paused
			// sender; both count as the container's memory.
			SendBuffer:    64 * KiB,
			ReceiveBuffer: 256 * KiB,
		},
		Store:  defaultStore(),
		Events: defaultEvents(),
		Drain: DrainConfig{
			Grace:    0,                // for balancers that need time to see that /readyz fails
			Deadline: 60 * time.Second, // one store request (timeouts.store)
		},
		Pressure: defaultPressure(),
		// On processors shared with clients, store and broker a message needs less
		// CPU time (docs/measurements.md, Scheduling).
		Process: ProcessConfig{Scheduling: SchedulingBatch},
		machine: m,
	}
}

func defaultLimits(m Machine) LimitsConfig {
	return LimitsConfig{
		MessageSize:      50 * MiB, // RFC 5321 §4.5.3.1.7 asks for 64 KiB; large providers take 25 to 50 MB
		Recipients:       1000,     // RFC 5321 §4.5.3.1.8 asks for 100; 1,000 is what Postfix takes
		Connections:      min(maxDefaultConnections, m.connections()),
		ConnectionsPerIP: 1000, // a whole provider may come from one address; one address must not take all
		CommandErrors:    20,   // Postfix's smtpd_hard_error_limit
		RecipientErrors:  20,   // the same limit: Postfix counts both together
		JunkCommands:     100,  // Postfix's smtpd_junk_command_limit
		Messages:         1000, // lets the balancer spread long-lived senders anew
		ReceivedHeaders:  100,  // RFC 5321 §6.3
		MinDataRate:      500,  // Postfix's smtpd_min_data_rate
	}
}

func defaultTimeouts() TimeoutsConfig {
	return TimeoutsConfig{
		Greeting:  5 * time.Minute, // RFC 5321 §4.5.3.2.7: a server waits at least 5 min for a command
		Command:   5 * time.Minute, // RFC 5321 §4.5.3.2.7
		DataStart: 2 * time.Minute, // RFC 5321 §4.5.3.2.4, the sender's own wait for 354
		DataBlock: 3 * time.Minute, // RFC 5321 §4.5.3.2.5
		// Below the sender's two minutes for 354 (RFC 5321 §4.5.3.2.4), with
		// room for the network: a sender that gave up would not read our 452.
		Credit: 90 * time.Second,
		Store:  60 * time.Second,
		// Half of the sender's ten minutes for the final answer (RFC 5321
		// §4.5.3.2.6): a sender that gives up first makes a duplicate.
		Message: 5 * time.Minute,
		Stall:   time.Minute,
	}
}

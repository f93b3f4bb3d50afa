package driver

import (
	"net/netip"
	"time"

	"sluice/gateway/session"
)

// Generation is what a running process can change, as one whole. It must not be changed
// once it is used.
//
// A session takes the settings of the newest generation when it opens, and at HELO and
// EHLO: what EHLO announced holds until the next one. A loop takes the rest at each tick.
type Generation struct {
	Timeouts Timeouts
	// MinDataRate is the least rate of mail text in bytes a second, on average over a
	// minute or Timeouts.DataBlock, the shorter; 0 for no bound.
	MinDataRate int64
	// StalledSessions is how many sessions of one loop may wait for a client that does
	// not read; 0 for no bound.
	StalledSessions  int
	ConnectionsPerIP int // sessions open from one address, 0 for no limit
	// Trusted are networks that ConnectionsPerIP does not concern, and whose mail is not
	// verified.
	Trusted []netip.Prefix
	// Verdict is how long a verdict is waited for, from the final dot on.
	Verdict time.Duration
	// Settings are those of the sessions of a listener that were changed since the start.
	Settings map[*Listener]*session.Settings
}

// Reload makes g the newest generation. It may be called from any goroutine.
func (s *Shared) Reload(g Generation) { s.generation.Store(&g) }

// newest returns the newest settings of the sessions of a listener.
func (s *Shared) newest(at *Listener) *session.Settings {
	if settings := s.generation.Load().Settings[at]; settings != nil {
		return settings
	}
	return at.Settings
}

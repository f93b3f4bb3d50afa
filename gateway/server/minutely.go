package server

import (
	"sync"
	"time"
)

// minutely spaces log lines about something that clients can make happen at will.
type minutely struct {
	mu     sync.Mutex
	logged time.Time
	since  int
}

// add counts an event. It returns the number of events since the last line if one is due
// now, and 0 if none is. The first is due at once.
func (m *minutely) add(now time.Time) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.since++; now.Sub(m.logged) < time.Minute {
		return 0
	}
	n := m.since
	m.logged, m.since = now, 0
	return n
}

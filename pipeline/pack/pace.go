package pack

import (
	"sync/atomic"
	"time"
)

// pace is how long a request usually takes: the least of the last ones, nearly.
// What takes long now and then, as behind something large, or stands still, is not
// usual, and what waits beside it shall not wait as long.
type pace struct{ nanoseconds atomic.Int64 }

const (
	// rise: a longer request raises it by so small a part of the difference.
	rise = 256
	// longest pause of a lane, however slow its store is.
	longest = 20 * time.Millisecond
)

// note takes a request into account. Of two at the same time one may be lost.
func (p *pace) note(took time.Duration) {
	usual := p.nanoseconds.Load()
	if next := int64(took); usual == 0 || next < usual {
		p.nanoseconds.Store(next)
	} else {
		p.nanoseconds.Store(usual + (next-usual)/rise)
	}
}

// usual gives it, at most 20 ms; 0 before the first request.
func (p *pace) usual() time.Duration { return min(time.Duration(p.nanoseconds.Load()), longest) }

// Package secure runs TLS handshakes beside the event loops. Their computations take
// milliseconds, and crypto/tls blocks in them, so that each has a goroutine. What they can
// take of the machine is bounded: how many there are, how many of them are of one address,
// and how many compute at a time. The others wait, for a peer or for their turn.
package secure

import (
	"crypto/tls"
	"net/netip"
	"time"

	"sluice/gateway/driver"
	"sluice/gateway/places"
	"sluice/internal/panics"
	"sluice/pipeline/inflight"
)

// Options are what a Pool needs.
type Options struct {
	// Config returns the configuration of the handshakes that begin now. It is called on
	// any goroutine.
	Config func() *tls.Config
	// Trusts reports whether the certificate of a client was verified. It may be nil where
	// none is asked for.
	Trusts func(*tls.ConnectionState) bool
	// Handshakes bounds the handshakes that have begun and not ended. One address has an
	// eighth of them at most. Each costs a goroutine and about 36 KiB.
	Handshakes int
	// Computing bounds those that compute at a time.
	Computing int
}

// Pool runs handshakes. Room, Begin, Continue and Drop are called on the loop of their
// handshake and do not block.
type Pool struct {
	options   Options
	begun     *places.Places
	computing chan struct{} // has an element for each handshake that computes
	life      *inflight.Tracker
	aborted   chan struct{} // closed when nothing may be posted any more
}

// NewPool returns a pool without handshakes.
func NewPool(options Options) *Pool {
	return &Pool{
		options: options, begun: places.New(options.Handshakes), life: inflight.New(), aborted: make(chan struct{}),
		computing: make(chan struct{}, max(options.Computing, 1)),
	}
}

// Begun returns the number of handshakes that have begun and not ended.
func (p *Pool) Begun() int64 { return p.begun.Taken() }

// Room reports whether a client could begin a handshake now.
func (p *Pool) Room(client netip.Addr) bool {
	return !p.life.Closed() && p.begun.Room(client)
}

// Surplus returns how many handshakes have begun beyond seven eighths of those that may, and
// how many have.
func (p *Pool) Surplus() (surplus, begun int) {
	begun = int(p.begun.Taken())
	return max(begun-p.options.Handshakes/8*7, 0), begun
}

// Begin begins a handshake with the records in h.In on another goroutine, and reports
// whether there was room. h comes home by its task whenever it needs more records, and once
// more when it is done. It must not be touched meanwhile.
func (p *Pool) Begin(h *driver.Handshake) bool {
	if !p.life.Begin() || !p.begun.Take(h.Client) {
		p.life.Done(1)
		return false
	}
	w := &work{pool: p, h: h, resume: make(chan struct{}, 1), dropped: make(chan struct{})}
	h.Private = w
	go func() { w.end(panics.Try(panics.Handshake, w.run)) }()
	return true
}

// Continue goes on with a handshake that is at home and not done: with the records in h.In,
// or to its end when h.Gone.
func (p *Pool) Continue(h *driver.Handshake) {
	select {
	case h.Private.(*work).resume <- struct{}{}:
	default: // it was not at home
	}
}

// Drop says that nobody waits any more for a handshake that is not at home. It does not
// compute from now on and comes home as ever: done or, if it needed records at that very
// moment, to be continued with h.Gone.
func (p *Pool) Drop(h *driver.Handshake) {
	if w := h.Private.(*work); !w.forgotten {
		w.forgotten = true
		close(w.dropped)
	}
}

// Close refuses handshakes from now on and waits until all are done, at most for limit.
// Those that are left then end and do not come home. It returns their number.
func (p *Pool) Close(limit time.Duration) (left int64) {
	if !p.life.Close() {
		return 0
	}
	return p.life.Drain(limit, func() { close(p.aborted) })
}

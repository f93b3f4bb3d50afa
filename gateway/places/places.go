// Package places bounds how many of something there are at once, in all and for each client
// address: one client may not take what all others need. It takes no lock, for event loops.
package places

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
)

// addressShare is the share of all places that one address may take.
const addressShare = 8

// Places is a number of places. Its methods may be called from any goroutine.
//
// Two addresses may share a count. But only eight addresses at a time can have as many
// places as one may, so that less than one address in 8,000 shares its count with one of
// these. The hash is keyed, so nobody can pick such an address.
type Places struct {
	limit int64
	taken atomic.Int64
	seed  maphash.Seed
	cells [1 << 16]atomic.Int32
}

// New returns places for at most limit, and for an eighth of them, at least one, of one
// address.
func New(limit int) *Places { return &Places{limit: int64(limit), seed: maphash.MakeSeed()} }

// Limit returns the number of places.
func (p *Places) Limit() int64 { return p.limit }

// Taken returns the number of places that are taken.
func (p *Places) Taken() int64 { return p.taken.Load() }

// Counted returns the number of places that are taken, as counted by address, for tests.
func (p *Places) Counted() (n int64) {
	for i := range p.cells {
		n += int64(p.cells[i].Load())
	}
	return n
}

// Room reports whether there is a place for a client.
func (p *Places) Room(client netip.Addr) bool {
	return p.taken.Load() < p.limit && p.of(client).Load() < p.perAddress()
}

// Take takes a place for a client, and reports whether there was one.
func (p *Places) Take(client netip.Addr) bool {
	if p.taken.Add(1) <= p.limit {
		count := p.of(client)
		if count.Add(1) <= p.perAddress() {
			return true
		}
		count.Add(-1)
	}
	p.taken.Add(-1)
	return false
}

// Give returns a place that a client had.
func (p *Places) Give(client netip.Addr) {
	p.of(client).Add(-1)
	p.taken.Add(-1)
}

func (p *Places) perAddress() int32 { return int32(max(p.limit/addressShare, 1)) }

// of returns the count of a client.
func (p *Places) of(client netip.Addr) *atomic.Int32 {
	key := Client(client).As16()
	return &p.cells[maphash.Bytes(p.seed, key[:])%uint64(len(p.cells))]
}

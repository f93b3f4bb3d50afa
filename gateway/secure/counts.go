package secure

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
)

// counts counts handshakes by client address without a lock. Two addresses may share a
// count. But only eight addresses at a time can have as many handshakes as one may, so that
// less than one address in 8,000 shares its count with one of these. The hash is keyed, so
// nobody can pick such an address.
type counts struct {
	seed  maphash.Seed
	cells [1 << 16]atomic.Int32
}

func newCounts() *counts { return &counts{seed: maphash.MakeSeed()} }

// of returns the count of an address. IPv6 clients are counted by their /64, the least that
// one customer has.
func (c *counts) of(address netip.Addr) *atomic.Int32 {
	key := address.As16() // an IPv4 address is mapped
	n := len(key)
	if address.Unmap().Is6() {
		n /= 2
	}
	return &c.cells[maphash.Bytes(c.seed, key[:n])%uint64(len(c.cells))]
}

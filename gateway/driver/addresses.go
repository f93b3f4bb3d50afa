package driver

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync/atomic"

	"sluice/gateway/places"
)

// addressCounts counts open sessions by client address without a lock: a
// count-min sketch of four rows. A count is never too low; it is too high only
// for an address that shares a cell with busy ones in all four rows, which at
// 19,000 connections and the default limit happens to less than one address in
// 10^13. The hash is keyed, so nobody can pick such an address.
type addressCounts struct {
	seed maphash.Seed
	rows [4][1 << 16]atomic.Int32
}

func newAddressCounts() *addressCounts { return &addressCounts{seed: maphash.MakeSeed()} }

// cells returns the four cells of an address: 16 bits of one 64-bit hash for each row.
func (a *addressCounts) cells(address netip.Addr) uint64 {
	key := places.Client(address).As16()
	return maphash.Bytes(a.seed, key[:])
}

// add counts a session in the cells of its address and returns the number of sessions of
// that address.
func (a *addressCounts) add(cells uint64) int32 { return a.change(cells, 1) }

// drop takes a session out of the count.
func (a *addressCounts) drop(cells uint64) { a.change(cells, -1) }

// sum returns the number of sessions of all addresses.
func (a *addressCounts) sum() (n int64) {
	for i := range a.rows[0] {
		n += int64(a.rows[0][i].Load())
	}
	return n
}

func (a *addressCounts) change(cells uint64, by int32) int32 {
	var cell [8]byte
	binary.LittleEndian.PutUint64(cell[:], cells)
	least := int32(1<<31 - 1)
	for row := range a.rows {
		i := binary.LittleEndian.Uint16(cell[2*row:])
		least = min(least, a.rows[row][i].Add(by))
	}
	return least
}

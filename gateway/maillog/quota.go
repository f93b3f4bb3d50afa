package maillog

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync/atomic"

	"sluice/gateway/places"
)

// clientLines is the number of refusals and lost messages of one client, in all its
// sessions, that are logged per second. As many logins are.
const clientLines = 200

// clientQuota counts each client's lines in the current second, without a lock. It is a
// count-min sketch of four rows, in which a count of another second is zero. A count is
// too high only for a client that shares a cell with busy ones in all four rows. The hash
// is keyed, so no client can choose such an address.
type clientQuota struct {
	seed   maphash.Seed
	second atomic.Uint32
	rows   [4][1 << 12]atomic.Uint64 // the second in the upper half, the count in the lower
}

func newClientQuota() *clientQuota { return &clientQuota{seed: maphash.MakeSeed()} }

// renew begins a new second.
func (s *clientQuota) renew() { s.second.Add(1) }

// count counts a line of a client and returns the client's count in this second.
func (s *clientQuota) count(client netip.Addr) uint32 {
	key := places.Client(client).As16()
	var cells [8]byte
	binary.LittleEndian.PutUint64(cells[:], maphash.Bytes(s.seed, key[:]))
	least := ^uint32(0)
	for row := range s.rows {
		i := binary.LittleEndian.Uint16(cells[2*row:]) % uint16(len(s.rows[row]))
		least = min(least, countIn(&s.rows[row][i], s.second.Load()))
	}
	return least
}

// countIn increments the count of a cell and returns it.
func countIn(cell *atomic.Uint64, second uint32) uint32 {
	for {
		before := cell.Load()
		now := before + 1
		if uint32(before>>32) != second {
			now = uint64(second)<<32 | 1
		}
		if cell.CompareAndSwap(before, now) {
			return uint32(now)
		}
	}
}

// mayLog reports whether one more line about a client may be logged. The first one that
// may not is replaced by a notice.
func (m *Log) mayLog(quota *clientQuota, client netip.Addr) bool {
	n := quota.count(client)
	if n <= clientLines {
		return true
	}
	m.omitted.Add(1)
	if n == clientLines+1 {
		m.put(m.refusals, entry{kind: overQuota, client: address(client), leftOut: clientLines})
	}
	return false
}

// warnings counts the warnings of one kind.
type warnings struct {
	count   atomic.Uint64 // of the current second, as a cell of clientQuota
	omitted atomic.Int64  // those without a line
}

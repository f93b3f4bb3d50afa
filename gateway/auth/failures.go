package auth

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"

	"sluice/gateway/identity"
	"sluice/gateway/places"
)

// Who fails again waits longer for the answer: not at all at first, then a second, and
// twice as long each time. Who is right never waits, whoever else has failed.
const (
	firstDelay = time.Second
	mostDelay  = 30 * time.Second
	// forgotten is the time after which failures no longer count.
	forgotten = 15 * time.Minute
)

// failures counts failed attempts by name, whether it exists or not, and by address. It
// takes no lock and has a fixed size: two names may share a count, and two addresses, but no
// name and address. Names cost nothing to make up: whoever fails with many must not count
// against other addresses.
type failures struct {
	seed      maphash.Seed
	began     time.Time
	names     cells
	addresses cells
}

// cells are counts: each has the second of the last failure, and the count in the last octet.
type cells [1 << 15]atomic.Uint64

func newFailures() *failures { return &failures{seed: maphash.MakeSeed(), began: time.Now()} }

// byName returns the count of a name, in any case.
func (f *failures) byName(user string) *atomic.Uint64 {
	return &f.names[maphash.String(f.seed, identity.Fold(user))%uint64(len(f.names))]
}

// byAddress returns the count of a client.
func (f *failures) byAddress(client netip.Addr) *atomic.Uint64 {
	key := places.Client(client).As16()
	return &f.addresses[maphash.Bytes(f.seed, key[:])%uint64(len(f.addresses))]
}

// second returns the second of a time; the first is 1.
func (f *failures) second(now time.Time) uint64 { return uint64(now.Sub(f.began)/time.Second) + 1 }

// count returns how many failures count at a time.
func (f *failures) count(cell *atomic.Uint64, now time.Time) uint64 {
	value := cell.Load()
	if last := value >> 8; f.second(now) > last+uint64(forgotten/time.Second) {
		return 0
	}
	return value & 0xff
}

// known reports whether an address has failed lately.
func (f *failures) known(client netip.Addr, now time.Time) bool {
	return f.count(f.byAddress(client), now) > 0
}

// delay returns how long the next failure of a name or an address would wait.
func (f *failures) delay(user string, client netip.Addr, now time.Time) time.Duration {
	return delayAfter(max(f.count(f.byName(user), now), f.count(f.byAddress(client), now)))
}

// failed counts a failure, and returns how long its answer waits.
func (f *failures) failed(user string, client netip.Addr, now time.Time) time.Duration {
	delay := f.delay(user, client, now)
	for _, cell := range []*atomic.Uint64{f.byName(user), f.byAddress(client)} {
		for {
			old, n := cell.Load(), f.count(cell, now)
			if cell.CompareAndSwap(old, f.second(now)<<8|min(n+1, 0xff)) {
				break
			}
		}
	}
	return delay
}

// forgive forgets the failures of a name that has succeeded.
func (f *failures) forgive(user string) { f.byName(user).Store(0) }

// delayAfter returns how long a failure waits that follows n others.
func delayAfter(n uint64) time.Duration {
	if n == 0 {
		return 0
	}
	return min(firstDelay<<min(n-1, 6), mostDelay)
}

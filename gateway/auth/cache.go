package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"sluice/gateway/identity"
)

// mostCached bounds the passwords that are remembered.
const mostCached = 10_000

// cache remembers passwords that were accepted, by a keyed digest: nothing of them can be
// read out of it. Tokens are not in it, as they end by themselves and cost little to check.
type cache struct {
	lasts time.Duration
	key   [32]byte // of this process

	mu     sync.Mutex
	known  map[[sha256.Size]byte]cached
	clears int // how often it was cleared
}

type cached struct {
	answer  identity.Answer
	backend string
	until   time.Time
}

func newCache(keep time.Duration) *cache {
	c := &cache{lasts: keep, known: map[[sha256.Size]byte]cached{}}
	_, _ = rand.Read(c.key[:]) // never fails: it would end the process instead
	return c
}

// digest returns the keyed digest of an attempt.
func (c *cache) digest(a *identity.Attempt) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, c.key[:])
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(a.User)))
	h.Write(length[:])
	h.Write([]byte(a.User))
	h.Write(a.Secret)
	h.Sum(sum[:0])
	return sum
}

// lookup is what the cache has of an attempt.
type lookup struct {
	cached
	found  bool
	clears int // of the cache, as it was asked
}

// find returns what was said of an attempt, if that still holds.
func (c *cache) find(a *identity.Attempt) lookup {
	if c.lasts == 0 || a.Token {
		return lookup{}
	}
	sum := c.digest(a)
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.known[sum]
	if !ok || time.Now().After(found.until) {
		delete(c.known, sum)
		return lookup{clears: c.clears}
	}
	return lookup{cached: found, found: true}
}

// keep keeps the answer to an attempt that was accepted, unless the cache was cleared since
// it was asked.
func (c *cache) keep(a *identity.Attempt, answer identity.Answer, backend string, since lookup) {
	if c.lasts == 0 || a.Token {
		return
	}
	sum := c.digest(a)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clears != since.clears {
		return
	}
	if len(c.known) >= mostCached {
		c.drop(time.Now())
	}
	c.known[sum] = cached{answer, backend, time.Now().Add(c.lasts)}
}

// drop makes room: it drops what no longer holds, and then any until an eighth is free.
func (c *cache) drop(now time.Time) {
	for sum, each := range c.known {
		if now.After(each.until) {
			delete(c.known, sum)
		}
	}
	for sum := range c.known {
		if len(c.known) <= mostCached/8*7 {
			return
		}
		delete(c.known, sum)
	}
}

// clear forgets everything.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.known)
	c.clears++
}

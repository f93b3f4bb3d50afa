package resolver

import (
	"container/list"
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

// How long answers are believed. A record may ask for less.
const (
	maxTTL         = 24 * time.Hour
	maxNegativeTTL = 3 * time.Hour   // RFC 2308 §5
	failureTTL     = 2 * time.Second // RFC 9520 §3.2 wants at least 1 s
)

// shards is how many locks the cache has.
const shards = 16

// overhead is what an entry takes beside its texts, as measured: two structs, an element of
// a list and a place in a map.
const overhead = 350

// cache remembers answers until they expire or others need the room.
type cache struct {
	seed   maphash.Seed
	shards [shards]shard
}

// shard is a part of the cache: the least recently used answers leave first.
type shard struct {
	mu      sync.Mutex
	entries map[question]*list.Element // of *entry
	recent  *list.List                 // the most recently used in front
	bytes   int64
	limit   int64
}

// entry is a remembered answer.
type entry struct {
	question question
	answer   *answer
	expires  time.Time
	bytes    int64
}

func newCache(limit int64) *cache {
	c := &cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i] = shard{entries: map[question]*list.Element{}, recent: list.New(), limit: limit / shards}
	}
	return c
}

func (c *cache) shard(q question) *shard {
	return &c.shards[maphash.Comparable(c.seed, q)%shards]
}

// get returns the answer to a question, or nil.
func (c *cache) get(q question, now time.Time) *answer {
	s := c.shard(q)
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.entries[q]
	if at == nil {
		return nil
	}
	e := at.Value.(*entry)
	if !now.Before(e.expires) {
		s.remove(at)
		return nil
	}
	s.recent.MoveToFront(at)
	return e.answer
}

// put remembers an answer, if it may be remembered and is not larger than a shard.
func (c *cache) put(q question, a *answer, now time.Time) {
	if a.ttl <= 0 {
		return
	}
	q.name = strings.Clone(q.name) // it may be a piece of a header of 256 KiB
	e := &entry{question: q, answer: a, expires: now.Add(a.ttl), bytes: overhead + int64(len(q.name)) + a.bytes()}
	s := c.shard(q)
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.entries[q]; at != nil {
		s.remove(at)
	}
	if e.bytes > s.limit {
		return
	}
	for s.bytes+e.bytes > s.limit {
		s.remove(s.recent.Back())
	}
	s.bytes += e.bytes
	s.entries[q] = s.recent.PushFront(e)
}

func (s *shard) remove(at *list.Element) {
	e := s.recent.Remove(at).(*entry)
	delete(s.entries, e.question)
	s.bytes -= e.bytes
}

func (c *cache) size() int64 {
	var total int64
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		total += s.bytes
		s.mu.Unlock()
	}
	return total
}

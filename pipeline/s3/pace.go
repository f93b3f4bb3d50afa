package s3

import (
	"math/bits"
	"sync"
	"time"
)

// leastPatience is the shortest time that an attempt may stand still. A store that does
// little else answers in milliseconds, but one under load may pause for a part of a second.
const leastPatience = time.Second

// pace estimates how long the store takes to answer. Requests are told apart by the size
// of their body, in classes up to 64 KiB and then by a factor of four.
type pace struct {
	mu       sync.Mutex
	classes  [6]usual
	answered time.Time // when the store last answered with success
}

// usual is the smoothed duration of a request and its mean deviation, as TCP estimates
// its round trips (RFC 6298).
type usual struct{ mean, deviation time.Duration }

func (u *usual) add(took time.Duration) {
	if u.mean == 0 {
		u.mean, u.deviation = took, took/2
		return
	}
	u.deviation += ((u.mean - took).Abs() - u.deviation) / 4
	u.mean += (took - u.mean) / 8
}

func (p *pace) class(bytes int64) int {
	return min((bits.Len64(uint64(max(bytes-1, 0))>>16)+1)/2, len(p.classes)-1)
}

// observe records that a request with a body of this size was answered with success, this
// long after the last byte of the body had left.
func (p *pace) observe(bytes int64, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.classes[p.class(bytes)].add(took)
	p.answered = time.Now()
}

// patience returns how long an attempt with a body of this size may stand still before
// another one is begun. When no such request was answered yet, it goes by smaller ones,
// as if each byte counted, or by larger ones.
func (p *pace) patience(bytes int64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.class(bytes)
	known, factor := p.classes[at], time.Duration(1)
	for smaller := at - 1; known.mean == 0 && smaller >= 0; smaller-- {
		known, factor = p.classes[smaller], 4*factor
	}
	for larger := at + 1; known.mean == 0 && larger < len(p.classes); larger++ {
		known, factor = p.classes[larger], 1
	}
	return max(leastPatience, factor*max(2*known.mean, known.mean+4*known.deviation))
}

// answeredSince reports whether a request was answered with success since then.
func (p *pace) answeredSince(then time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answered.After(then)
}

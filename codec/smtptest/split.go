package smtptest

import (
	"fmt"
	"math/rand/v2"
)

// Split determines how the client's input is cut into writes. The position of the cuts
// must never matter.
type Split struct {
	kind splitKind
	seed uint64
}

type splitKind uint8

const (
	splitWhole splitKind = iota
	splitBytes
	splitRandom
)

var (
	// Whole sends each batch in one write.
	Whole = Split{kind: splitWhole}
	// ByteByByte sends each octet in a write of its own.
	ByteByByte = Split{kind: splitBytes}
)

// Random returns a Split with cuts that depend on seed alone.
func Random(seed uint64) Split { return Split{kind: splitRandom, seed: seed} }

// String returns the name of the split: "whole", "byte by byte", "random 7".
func (s Split) String() string {
	switch s.kind {
	case splitBytes:
		return "byte by byte"
	case splitRandom:
		return fmt.Sprintf("random %d", s.seed)
	}
	return "whole"
}

// cutter cuts batches; one cutter serves one dialog.
type cutter struct {
	kind splitKind
	rng  *rand.Rand
}

func (s Split) cutter() cutter {
	return cutter{kind: s.kind, rng: rand.New(rand.NewPCG(s.seed, 0))}
}

// Pieces returns octets as the writes into which the split cuts a first batch.
func (s Split) Pieces(octets []byte) [][]byte {
	c := s.cutter()
	return c.pieces(octets)
}

// pieces returns a batch as writes.
func (c *cutter) pieces(batch []byte) (pieces [][]byte) {
	for len(batch) > 0 {
		n := c.next(len(batch))
		pieces, batch = append(pieces, batch[:n]), batch[n:]
	}
	return pieces
}

// next returns the length of the first write of a batch of n octets.
func (c *cutter) next(n int) int {
	switch c.kind {
	case splitBytes:
		return 1
	case splitRandom:
		// Mostly short writes, which cut within CRLF and dots, and now and then one that
		// takes several lines.
		if c.rng.IntN(8) == 0 {
			return 1 + c.rng.IntN(n)
		}
		return min(n, 1+c.rng.IntN(12))
	}
	return n
}

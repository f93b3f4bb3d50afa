package postgres

import (
	"crypto/sha256"
	"encoding/binary"
)

// hashes returns what stands for terms in the table: 64 bits of their SHA-256.
//
// Their GIN index costs half the CPU of one of a tsvector or text[] (docs/decisions.md). A
// tsvector could not hold the terms of a long message either: it has at most 1 MiB. A term
// that is none of a thousand million others equals one of them with a probability of 5e-11.
func hashes(terms []string) []int64 {
	out := make([]int64, len(terms))
	for i, t := range terms {
		sum := sha256.Sum256([]byte(t))
		out[i] = int64(binary.BigEndian.Uint64(sum[:]))
	}
	return out
}

package postgres

import (
	"crypto/sha256"
	"encoding/binary"
)

// hashes returns what stands for terms in the table: 64 bits of their SHA-256.
//
// Hashes are a fifth of the terms' size in the table and the index, and their GIN index takes
// less time than that of a tsvector or of text[] (docs/decisions.md). A tsvector could not
// hold the terms of a long message either: it has at most 1 MiB. Among a thousand million
// different terms, a term that none of them is equals one of them with a probability of 5e-11.
func hashes(terms []string) []int64 {
	out := make([]int64, len(terms))
	for i, t := range terms {
		sum := sha256.Sum256([]byte(t))
		out[i] = int64(binary.BigEndian.Uint64(sum[:]))
	}
	return out
}

package addresses

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"iter"
)

// Set is a set of texts of at most a kilobyte, such as the keys of addresses.
//
// The texts stand one behind the other in blocks, each after its length as a varint. The
// table holds their places, so that a text costs itself, a byte or two and about eight bytes
// of the table.
type Set struct {
	seed   maphash.Seed
	blocks [][]byte
	table  []Place // a power of two, at most three quarters full
	count  int
}

// Place is where a text stands in its set, and a number for it there: number of the block
// times blockSize plus offset plus 1, or 0 for none.
type Place uint32

const (
	blockSize = 256 << 10
	maxBlocks = 1 << 32 / blockSize // keeps every place within 32 bits
	maxCount  = 1 << 26
)

// NewSet returns an empty set.
func NewSet() *Set {
	return &Set{seed: maphash.MakeSeed(), table: make([]Place, 1<<10)}
}

// Len returns the number of texts.
func (s *Set) Len() int { return s.count }

// Find returns the place of a text, 0 if it is not in the set.
func (s *Set) Find(text []byte) Place { return s.table[s.slot(text)] }

// Has reports whether a text is in the set.
func (s *Set) Has(text []byte) bool { return s.Find(text) != 0 }

// All returns the texts, in the order in which they were added. They are the set's own.
func (s *Set) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, block := range s.blocks {
			for len(block) > 0 {
				text, rest := first(block)
				if !yield(text) {
					return
				}
				block = rest
			}
		}
	}
}

// slot returns the index in the table of a text, or of the free place where it belongs.
func (s *Set) slot(text []byte) uint64 {
	mask := uint64(len(s.table) - 1)
	i := maphash.Bytes(s.seed, text) & mask
	for s.table[i] != 0 && !bytes.Equal(s.at(s.table[i]), text) {
		i = (i + 1) & mask
	}
	return i
}

// at returns the text at a place.
func (s *Set) at(p Place) []byte {
	text, _ := first(s.blocks[(p-1)/blockSize][(p-1)%blockSize:])
	return text
}

// first returns the text with which a block begins, and what follows it.
func first(block []byte) (text, rest []byte) {
	length, n := binary.Uvarint(block)
	end := n + int(length)
	return block[n:end], block[end:]
}

var errTooMany = fmt.Errorf("is one too many: a list has at most %d", maxCount)

// Add adds a text and returns its place, also that of a text which is in the set already.
func (s *Set) Add(text []byte) (Place, error) {
	i := s.slot(text)
	if s.table[i] != 0 {
		return s.table[i], nil
	}
	if s.count == maxCount {
		return 0, errTooMany
	}
	last := len(s.blocks) - 1
	if last < 0 || len(s.blocks[last])+binary.MaxVarintLen32+len(text) > blockSize {
		if len(s.blocks) == maxBlocks {
			return 0, errTooMany
		}
		s.blocks = append(s.blocks, make([]byte, 0, blockSize))
		last++
	}
	p := Place(last*blockSize + len(s.blocks[last]) + 1)
	s.table[i] = p
	s.blocks[last] = append(binary.AppendUvarint(s.blocks[last], uint64(len(text))), text...)
	if s.count++; s.count > len(s.table)/4*3 {
		s.grow()
	}
	return p, nil
}

// grow doubles the table.
func (s *Set) grow() {
	old := s.table
	s.table = make([]Place, 2*len(old))
	for _, p := range old {
		if p != 0 {
			s.table[s.slot(s.at(p))] = p
		}
	}
}

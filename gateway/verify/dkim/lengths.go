package dkim

import (
	"hash"
	"slices"
)

// lengths is a hash that also keeps what it was at some lengths, for signatures with l=
// (RFC 6376 §3.5). One pass serves them all.
type lengths struct {
	hash  hash.Hash
	n     int64    // what was hashed
	marks []length // ascending
	next  int      // the first of marks that was not reached
}

// length is a place in what is hashed.
type length struct {
	at  int64
	sum []byte // nil until it is reached
}

// mark keeps the hash of that many bytes. Nothing has been written yet.
func (l *lengths) mark(at int64) {
	i, known := slices.BinarySearchFunc(l.marks, at, func(m length, at int64) int {
		return int(max(-1, min(1, m.at-at)))
	})
	if !known {
		l.marks = slices.Insert(l.marks, i, length{at: at})
	}
}

func (l *lengths) write(text []byte) {
	for l.reach(int64(len(text))) {
		cut := l.marks[l.next].at - l.n
		l.hash.Write(text[:cut])
		l.n += cut
		text = text[cut:]
		l.marks[l.next].sum = l.hash.Sum(nil)
		l.next++
	}
	l.hash.Write(text)
	l.n += int64(len(text))
}

// reach reports whether the next mark is within so many bytes.
func (l *lengths) reach(n int64) bool {
	return l.next < len(l.marks) && l.marks[l.next].at-l.n <= n
}

// sum returns the hash of the first bytes, of all where the length is negative, or nil
// where there are not so many.
func (l *lengths) sum(at int64) []byte {
	if at < 0 {
		return l.hash.Sum(nil)
	}
	for _, m := range l.marks {
		if m.at == at {
			return m.sum
		}
	}
	return nil
}

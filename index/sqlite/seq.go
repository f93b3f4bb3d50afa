package sqlite

import (
	"encoding/binary"
	"time"

	"sluice/pipeline"
)

// The key of a row is the time of its id in milliseconds and, in its last bits, a number
// among those of one millisecond.
const seqBits = 15

// seqOf returns the key that a message has, if it is free: its number is made of the first
// random bits of the id. Otherwise it has the next that is free.
func seqOf(id pipeline.ID) int64 {
	bits := binary.BigEndian.Uint16(id[6:])&0x0fff<<3 | uint16(id[8])>>3&7
	return firstSeq(id) | int64(bits)
}

// firstSeq returns the least key of the id's millisecond.
func firstSeq(id pipeline.ID) int64 {
	return int64(binary.BigEndian.Uint64(id[:])>>16) << seqBits
}

// lastSeq returns the greatest key of the id's millisecond.
func lastSeq(id pipeline.ID) int64 { return firstSeq(id) | (1<<seqBits - 1) }

// seqBefore returns the least key of the messages whose ids are not before t.
func seqBefore(t time.Time) int64 {
	ms := t.Add(time.Millisecond - 1).UnixMilli()
	return min(max(ms, 0), 1<<48-1) << seqBits
}

package pipeline

import (
	"encoding/hex"
	"errors"
	"time"
)

// ID identifies a message: a UUID of version 7 (RFC 9562 §5.7), so that ids sort
// by the millisecond in which DATA or the first BDAT began.
type ID [16]byte

// Random is the port for randomness. One Random belongs to one event loop.
type Random interface {
	Uint64() uint64
}

// NewID returns a new id of the wall clock and 74 random bits.
func NewID(now time.Time, random Random) ID {
	ms := uint64(now.UnixMilli())
	a, b := random.Uint64(), random.Uint64()
	var id ID
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = 0x70 | byte(a>>8)&0x0f
	id[7] = byte(a)
	id[8] = 0x80 | byte(b>>56)&0x3f
	for i := range 7 {
		id[9+i] = byte(b >> (48 - 8*i))
	}
	return id
}

// Time returns the millisecond in which the id was made, in UTC.
func (id ID) Time() time.Time {
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC()
}

// IsZero reports whether the id is the zero value.
func (id ID) IsZero() bool { return id == ID{} }

// Append appends the canonical text form, 36 bytes, to dst.
func (id ID) Append(dst []byte) []byte {
	dst = hex.AppendEncode(dst, id[0:4])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, id[4:6])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, id[6:8])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, id[8:10])
	dst = append(dst, '-')
	return hex.AppendEncode(dst, id[10:16])
}

// String returns the canonical text form.
func (id ID) String() string { return string(id.Append(make([]byte, 0, 36))) }

var errID = errors.New("not a UUID in canonical form")

// ParseID parses the canonical text form.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, errID
	}
	raw, err := hex.DecodeString(s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36])
	if err != nil {
		return id, errID
	}
	copy(id[:], raw)
	return id, nil
}

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return id.Append(nil), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseID(string(text))
	return err
}

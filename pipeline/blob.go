package pipeline

import (
	"crypto/sha256"
	"hash/crc32"
)

// Blob is the place of a stored message: Length bytes at Offset of the object Key in
// Bucket. Sluice wrote the first Added of these bytes. CRC32C covers all of them
// (Castagnoli, RFC 3720 §B.4).
type Blob struct {
	Store  string // dir, s3, discard
	Bucket string // the bucket; for dir the folder's name
	Key    string
	// Container is the format of an object that holds several messages: ContainerTar. It
	// is empty for an object of its own.
	Container string
	Offset    int64
	Length    int64
	Added     int64
	CRC32C    uint32
}

// ContainerTar is the container of a pack: a POSIX tar with an entry for each message.
const ContainerTar = "tar"

// Digest is the SHA-256 of a message as received, after dot-unstuffing and without the
// bytes that Sluice added.
type Digest [sha256.Size]byte

// x8 is the polynomial x⁸, the shift of one byte, in the reflected order of bits that
// CRC32C uses: the highest bit is x⁰.
const x8 = 1 << (31 - 8)

// CombineCRC32C returns the CRC32C of two pieces, one after the other. It is computed
// from the CRC32C of each and the length in bytes of the second. The CRC of a
// concatenation is crc(first)·x^(8·length) + crc(second) modulo the polynomial: the
// initial value and the final complement cancel out.
func CombineCRC32C(first, second uint32, length int64) uint32 {
	shift, power := uint32(1<<31), uint32(x8) // x⁰, and x^(8·2^i)
	for ; length > 0; length >>= 1 {
		if length&1 == 1 {
			shift = multiplyCRC32C(shift, power)
		}
		power = multiplyCRC32C(power, power)
	}
	return multiplyCRC32C(shift, first) ^ second
}

// multiplyCRC32C multiplies two polynomials modulo that of CRC32C.
func multiplyCRC32C(a, b uint32) uint32 {
	var product uint32
	for bit := uint32(1 << 31); bit != 0 && a != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
			a ^= bit
		}
		carry := b & 1
		b = b>>1 ^ carry*crc32.Castagnoli
	}
	return product
}

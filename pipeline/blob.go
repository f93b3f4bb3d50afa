package pipeline

import "crypto/sha256"

// Blob says where a stored message is: length octets at offset of the object
// key in bucket. Added of these octets, at the start, were written by Sluice;
// CRC32C covers all of them (Castagnoli, RFC 3720 §B.4).
type Blob struct {
	Store  string // dir, s3, discard
	Bucket string // the bucket; for dir the folder's name
	Key    string
	// Container is what the object is when it holds more than this message:
	// ContainerTar, "" for an object of its own.
	Container string
	Offset    int64
	Length    int64
	Added     int64
	CRC32C    uint32
}

// ContainerTar is a pack: a POSIX tar with an entry for each message.
const ContainerTar = "tar"

// Digest is the SHA-256 of a message below what Sluice added, that is, of the
// bytes as received after dot-unstuffing.
type Digest [sha256.Size]byte

// Package pack stores small messages that are ready at the same moment in one object, as
// group commit does. A pack is a POSIX tar with an entry <id>.eml for each message. The
// last entry, events.jsonl, has all their events, so that the topic can be rebuilt from
// the store alone.
//
// A Batcher fills packs, a Writer of the store stores them. A lane, as the
// configuration and the metrics say, is a worker of the Batcher with its Writer.
package pack

import (
	"crypto/sha256"
	"hash"
	"hash/crc32"
	"math/rand/v2"
	"time"

	"sluice/pipeline"
)

const (
	// Extension ends the key of a pack.
	Extension = ".tar"
	// MessageExtension ends the name of an entry that is a message.
	MessageExtension = ".eml"
	// EventsName is the name of the last entry. It has one JSON text a line, in the
	// order of the messages.
	EventsName = "events.jsonl"
	// ContentType is the media type of a pack. It is not registered, but common.
	ContentType = "application/x-tar"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Pack holds the messages of one object. The worker that fills it owns it and uses it
// again. The messages' bytes are lent to it until Stored or Fail, and are never copied.
type Pack struct {
	messages  []*pipeline.Message
	bytes     int64
	footprint int64

	key     string
	blobs   []pipeline.Blob
	sums    []pipeline.Digest
	headers []byte   // of the entries; pieces point into it
	events  []byte   // the last entry
	pieces  [][]byte // the whole tar, in order
	size    int64
	crc     uint32
	digest  hash.Hash
}

// New returns an empty pack.
func New() *Pack { return &Pack{digest: sha256.New()} }

// Add appends a message.
func (p *Pack) Add(m *pipeline.Message) {
	p.messages = append(p.messages, m)
	p.bytes += m.Length()
	p.footprint += Footprint(m)
}

// Len returns the number of messages.
func (p *Pack) Len() int { return len(p.messages) }

// Bytes returns the size of the messages in bytes, without what the tar adds.
func (p *Pack) Bytes() int64 { return p.bytes }

// Footprint returns the most bytes that the tar may have, without what ends it.
func (p *Pack) Footprint() int64 { return p.footprint }

// Messages returns the messages in order. The slice is valid until Stored, Fail or
// Clear.
func (p *Pack) Messages() []*pipeline.Message { return p.messages }

// Key returns the object's key, YYYY/MM/DD/HH/<id>.tar, with the time of the pack's
// own id in UTC.
func (p *Pack) Key() string { return p.key }

// Size returns the size of the tar in bytes.
func (p *Pack) Size() int64 { return p.size }

// CRC32C returns the checksum of the tar.
func (p *Pack) CRC32C() uint32 { return p.crc }

// Pieces returns the bytes of the tar in order. They are read-only, and valid until the
// messages have their result.
func (p *Pack) Pieces() [][]byte { return p.pieces }

// NewID returns the id of a pack that is composed now.
func NewID() pipeline.ID { return pipeline.NewID(time.Now(), random{}) }

// random is safe for concurrent use, as rand's own functions are.
type random struct{}

func (random) Uint64() uint64 { return rand.Uint64() }

// Compose lays out the tar under id and computes the checksums of each message and of
// the whole, in one pass. blob names the store and the bucket that it is for.
func (p *Pack) Compose(id pipeline.ID, blob pipeline.Blob) {
	p.key = Key(id)
	blob.Key, blob.Container = p.key, pipeline.ContainerTar
	p.headers = empty(p.headers, (len(p.messages)+1)*blockSize) // one for each entry
	p.size, p.crc, p.events = 0, 0, p.events[:0]
	p.blobs, p.sums, p.pieces = p.blobs[:0], p.sums[:0], p.pieces[:0]
	for _, m := range p.messages {
		blob.Length, blob.Added = m.Length(), int64(len(m.Header))
		p.appendHeader(entry{m.ID.String() + MessageExtension, blob.Length, m.ReceivedAt})
		blob.Offset = p.size
		var sum pipeline.Digest
		blob.CRC32C = p.appendMessage(m, &sum)
		p.blobs, p.sums = append(p.blobs, blob), append(p.sums, sum)
		p.events = pipeline.AppendEventOf(p.events, m, &blob, &sum)
		p.events = append(p.events, '\n')
		p.appendPadding()
	}
	p.appendHeader(entry{EventsName, int64(len(p.events)), id.Time()})
	p.appendPiece(p.events)
	p.appendPadding()
	p.appendTrailer()
}

// empty returns an empty buffer with room for size bytes: b itself if it is large enough.
func empty(b []byte, size int) []byte {
	if cap(b) < size {
		return make([]byte, 0, size)
	}
	return b[:0]
}

// Key returns the key of the pack with this id.
func Key(id pipeline.ID) string {
	key := pipeline.AppendFolder(make([]byte, 0, 64), id.Time())
	return string(append(id.Append(key), Extension...))
}

// appendMessage adds the bytes of m and returns their CRC32C. It sets sum to the
// digest of the bytes below the trace fields that Sluice adds.
func (p *Pack) appendMessage(m *pipeline.Message, sum *pipeline.Digest) uint32 {
	crc := crc32.Update(0, castagnoli, m.Header)
	p.appendPiece(m.Header)
	p.digest.Reset()
	for _, chunk := range m.Body.Chunks() {
		crc = crc32.Update(crc, castagnoli, chunk)
		p.digest.Write(chunk)
		p.appendPiece(chunk)
	}
	p.digest.Sum(sum[:0])
	return crc
}

// appendPiece adds b without copying it. b must not change or move until the pack is
// stored.
func (p *Pack) appendPiece(b []byte) {
	if len(b) == 0 {
		return
	}
	p.pieces = append(p.pieces, b)
	p.size += int64(len(b))
	p.crc = crc32.Update(p.crc, castagnoli, b)
}

// Stored delivers its place and digest to each message and empties the pack.
func (p *Pack) Stored() {
	for i, m := range p.messages {
		m.Stored(p.blobs[i], p.sums[i], nil)
	}
	p.Clear()
}

// Fail delivers err to each message and empties the pack.
func (p *Pack) Fail(err error) {
	for _, m := range p.messages {
		m.Stored(pipeline.Blob{}, pipeline.Digest{}, err)
	}
	p.Clear()
}

// kept bounds the buffers that a pack keeps for the next one, in bytes. Those of a
// thousand small messages are kept.
const kept = 2 << 20

// Clear empties the pack without delivering results.
func (p *Pack) Clear() {
	if cap(p.events)+cap(p.headers) > kept {
		*p = Pack{digest: p.digest}
		return
	}
	clear(p.messages)
	clear(p.pieces)
	p.messages, p.pieces = p.messages[:0], p.pieces[:0]
	p.blobs, p.sums = p.blobs[:0], p.sums[:0]
	p.bytes, p.footprint, p.size = 0, 0, 0
}

// Package pack lets small messages that are ready at the same moment share one
// object: a POSIX tar with an entry <id>.eml for each and a last entry
// events.jsonl with all their envelope events, so that the store alone can
// rebuild the topic.
package pack

import (
	"crypto/sha256"
	"hash"
	"hash/crc32"

	"sluice/pipeline"
)

const (
	// Extension of a pack's key.
	Extension = ".tar"
	// MessageExtension of an entry that is a message.
	MessageExtension = ".eml"
	// EventsName is that of the last entry: one JSON text a line, in the order of
	// the messages.
	EventsName = "events.jsonl"
	// ContentType of a pack (not registered, and what everybody writes).
	ContentType = "application/x-tar"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Pack is some messages on their way into one object. It belongs to the lane that
// fills it and is used again; the messages' octets are lent to it from Put until
// Stored or Fail, and are never copied.
type Pack struct {
	messages []*pipeline.Message
	octets   int64

	key    string
	blobs  []pipeline.Blob
	sums   []pipeline.Digest
	frame  []byte   // headers, in pieces between the messages
	events []byte   // the last entry
	pieces [][]byte // all of the tar, in order
	size   int64
	crc    uint32
	digest hash.Hash
}

// New makes an empty pack.
func New() *Pack { return &Pack{digest: sha256.New()} }

// Add takes a message in.
func (p *Pack) Add(m *pipeline.Message) {
	p.messages = append(p.messages, m)
	p.octets += m.Length()
}

// Len gives the number of messages.
func (p *Pack) Len() int { return len(p.messages) }

// Octets gives those of the messages.
func (p *Pack) Octets() int64 { return p.octets }

// Messages gives the messages in their order, until Stored, Fail or Clear.
func (p *Pack) Messages() []*pipeline.Message { return p.messages }

// Key gives the object's key, YYYY/MM/DD/HH/<id>.tar in UTC from its own id.
func (p *Pack) Key() string { return p.key }

// Size gives the octets of the tar.
func (p *Pack) Size() int64 { return p.size }

// CRC32C gives the checksum of the tar.
func (p *Pack) CRC32C() uint32 { return p.crc }

// Pieces gives the octets of the tar in order, to be read only, until the messages
// have their result.
func (p *Pack) Pieces() [][]byte { return p.pieces }

// Compose lays the tar out under an id of its own and sums each message, once, and
// the whole. place says in which store and bucket it will be.
func (p *Pack) Compose(id pipeline.ID, place pipeline.Blob) {
	p.key = Key(id)
	place.Key, place.Container = p.key, pipeline.ContainerTar
	if most := (len(p.messages) + 1) * blockSize; cap(p.frame) < most { // a header for each entry
		p.frame = make([]byte, 0, most)
	}
	p.size, p.crc, p.frame, p.events = 0, 0, p.frame[:0], p.events[:0]
	p.blobs, p.sums, p.pieces = p.blobs[:0], p.sums[:0], p.pieces[:0]
	for _, m := range p.messages {
		place.Length, place.Added = m.Length(), int64(len(m.Header))
		p.head(entry{m.ID.String() + MessageExtension, place.Length, m.ReceivedAt})
		place.Offset = p.size
		var sum pipeline.Digest
		place.CRC32C = p.text(m, &sum)
		p.blobs, p.sums = append(p.blobs, place), append(p.sums, sum)
		p.events = pipeline.AppendEventOf(p.events, m, &place, &sum)
		p.events = append(p.events, '\n')
		p.pad()
	}
	p.head(entry{EventsName, int64(len(p.events)), id.Time()})
	p.piece(p.events)
	p.pad()
	p.end()
}

// Key gives the key of a pack's id.
func Key(id pipeline.ID) string {
	key := pipeline.AppendFolder(make([]byte, 0, 64), id.Time())
	return string(append(id.Append(key), Extension...))
}

// text adds a message's octets and gives their CRC32C, and the digest of those
// below what Sluice added.
func (p *Pack) text(m *pipeline.Message, sum *pipeline.Digest) uint32 {
	crc := crc32.Update(0, castagnoli, m.Header)
	p.piece(m.Header)
	p.digest.Reset()
	for _, chunk := range m.Body.Chunks() {
		crc = crc32.Update(crc, castagnoli, chunk)
		p.digest.Write(chunk)
		p.piece(chunk)
	}
	p.digest.Sum(sum[:0])
	return crc
}

// piece adds octets that belong to somebody else, or to a buffer that will not
// move.
func (p *Pack) piece(octets []byte) {
	if len(octets) == 0 {
		return
	}
	p.pieces = append(p.pieces, octets)
	p.size += int64(len(octets))
	p.crc = crc32.Update(p.crc, castagnoli, octets)
}

// Stored gives every message its good result and empties the pack.
func (p *Pack) Stored() {
	for i, m := range p.messages {
		m.Stored(p.blobs[i], p.sums[i], nil)
	}
	p.Clear()
}

// Fail gives every message the same failure and empties the pack.
func (p *Pack) Fail(err error) {
	for _, m := range p.messages {
		m.Stored(pipeline.Blob{}, pipeline.Digest{}, err)
	}
	p.Clear()
}

// Clear forgets the messages: somebody else answers them.
func (p *Pack) Clear() {
	clear(p.messages)
	clear(p.pieces)
	p.messages, p.pieces = p.messages[:0], p.pieces[:0]
	p.blobs, p.sums = p.blobs[:0], p.sums[:0]
	p.octets, p.size = 0, 0
}

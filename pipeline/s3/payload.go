package s3

import (
	"errors"
	"io"
	"sync"
)

var (
	errRevoked = errors.New("revoked: the octets belong to somebody else again")
	errSeek    = errors.New("seek: only to the start")
)

// payload reads a header and slabs as one body of a request, without a copy of
// its own. net/http may go on reading a body after it has returned an answer: the
// octets are lent to it until Revoke.
type payload struct {
	mu      sync.Mutex
	head    []byte
	chunks  [][]byte
	piece   int // 0 is head
	at      int // in the piece
	revoked bool
}

var _ io.ReadSeeker = (*payload)(nil)

func newPayload(head []byte, chunks [][]byte) *payload {
	return &payload{head: head, chunks: chunks}
}

func (p *payload) current() []byte {
	if p.piece == 0 {
		return p.head
	}
	return p.chunks[p.piece-1]
}

// Read fills b across pieces: a small message is one write on the wire.
func (p *payload) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.revoked {
		return 0, errRevoked
	}
	n := 0
	for p.piece <= len(p.chunks) {
		copied := copy(b[n:], p.current()[p.at:])
		n, p.at = n+copied, p.at+copied
		if p.at < len(p.current()) {
			return n, nil
		}
		p.piece, p.at = p.piece+1, 0
	}
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Seek goes back to the start, which is all that minio-go asks for.
func (p *payload) Seek(offset int64, whence int) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if offset != 0 || whence != io.SeekStart {
		return 0, errSeek
	}
	p.piece, p.at = 0, 0
	return 0, nil
}

// Revoke ends the loan: when it returns no read is under way, and every later one
// fails. It says whether everything had been read.
func (p *payload) Revoke() (whole bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	whole = true
	for ; whole && p.piece <= len(p.chunks); p.piece, p.at = p.piece+1, 0 {
		whole = p.at == len(p.current())
	}
	p.revoked, p.head, p.chunks = true, nil, nil
	return whole
}

package s3

import (
	"errors"
	"io"
	"sync"
	"time"

	"sluice/internal/panics"
)

var (
	errRevoked = errors.New("revoked: the bytes are owned by another again")
	errSeek    = errors.New("seek: only to the start")
)

// payload reads a header and slabs as one request body without copying them. net/http may
// go on reading a body after it has returned the response, so the bytes are lent to it
// only until Revoke.
type payload struct {
	mu      sync.Mutex
	head    []byte
	chunks  [][]byte
	piece   int // index of the current piece; 0 is head, then the chunks
	at      int // offset in the piece
	revoked bool
	began   time.Time
	moved   time.Time // when bytes were last read
}

var _ io.ReadSeeker = (*payload)(nil)

func newPayload(head []byte, chunks [][]byte) *payload {
	now := time.Now()
	return &payload{head: head, chunks: chunks, began: now, moved: now}
}

// Idle returns the time since bytes were last read, or since the start.
func (p *payload) Idle() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.moved)
}

func (p *payload) current() []byte {
	if p.piece == 0 {
		return p.head
	}
	return p.chunks[p.piece-1]
}

// Read implements io.Reader. It fills b across pieces, so that a small message is one
// write on the wire.
func (p *payload) Read(b []byte) (n int, err error) {
	defer panics.Recover(panics.Store, &err) // it runs on a goroutine of net/http
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.revoked {
		return 0, errRevoked
	}
	p.moved = time.Now()
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

// Seek implements io.Seeker. It can only go back to the start, which is all that minio-go
// needs.
func (p *payload) Seek(offset int64, whence int) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if offset != 0 || whence != io.SeekStart {
		return 0, errSeek
	}
	p.piece, p.at = 0, 0
	return 0, nil
}

// Revoke ends the loan: no read is in progress when it returns, and every later one
// fails. It reports whether everything had been read.
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

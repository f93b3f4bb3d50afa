package pack

import (
	"archive/tar"
	"fmt"
	"time"
)

const (
	blockSize = 512
	// entryMode is the mode of the files: mail is for its owner and group alone.
	entryMode = 0o640
)

// entry is a file of the tar.
type entry struct {
	name string
	size int64 // in bytes
	at   time.Time
}

// appender is an io.Writer onto the end of a buffer.
type appender struct{ buffer *[]byte }

func (a appender) Write(b []byte) (int, error) {
	*a.buffer = append(*a.buffer, b...)
	return len(b), nil
}

// appendHeader adds the header of e. Each header has a tar.Writer of its own, because a
// tar.Writer requires the content to pass through it before the next header.
func (p *Pack) appendHeader(e entry) {
	begin := len(p.headers)
	err := tar.NewWriter(appender{&p.headers}).WriteHeader(&tar.Header{
		Format: tar.FormatUSTAR, Typeflag: tar.TypeReg, Name: e.name, Size: e.size,
		Mode: entryMode, ModTime: e.at.Truncate(time.Second),
	})
	if err != nil || len(p.headers)-begin != blockSize {
		// Names are ids and sizes are below the message limit, so this is a bug.
		panic(fmt.Sprintf("pack: header of %+v: %d bytes, %v", e, len(p.headers)-begin, err))
	}
	p.appendPiece(p.headers[begin:])
}

var zeros [blockSize]byte

// appendPadding fills the last block of the entry.
func (p *Pack) appendPadding() {
	if tail := p.size % blockSize; tail > 0 {
		p.appendPiece(zeros[tail:])
	}
}

// appendTrailer ends the tar with two blocks of zeros (POSIX.1-2017, pax).
func (p *Pack) appendTrailer() {
	p.appendPiece(zeros[:])
	p.appendPiece(zeros[:])
}

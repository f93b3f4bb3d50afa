package pack

import (
	"archive/tar"
	"fmt"
	"time"
)

const (
	blockSize = 512
	// entryMode of the files: mail is nobody's business but its group's.
	entryMode = 0o640
)

// entry is a file of the tar.
type entry struct {
	name string
	size int64 // octets
	at   time.Time
}

// appender lets a tar.Writer write onto the end of a buffer.
type appender struct{ buffer *[]byte }

func (a appender) Write(b []byte) (int, error) {
	*a.buffer = append(*a.buffer, b...)
	return len(b), nil
}

// head begins an entry. The library's writer would have the octets themselves
// before the next header, so each header has a writer of its own.
func (p *Pack) head(e entry) {
	begin := len(p.frame)
	err := tar.NewWriter(appender{&p.frame}).WriteHeader(&tar.Header{
		Format: tar.FormatUSTAR, Typeflag: tar.TypeReg, Name: e.name, Size: e.size,
		Mode: entryMode, ModTime: e.at.Truncate(time.Second),
	})
	if err != nil || len(p.frame)-begin != blockSize {
		// Names are ids, sizes below the limit of a message: this is our mistake.
		panic(fmt.Sprintf("pack: header of %+v: %d octets, %v", e, len(p.frame)-begin, err))
	}
	p.piece(p.frame[begin:])
}

var zeros [blockSize]byte

// pad fills the entry's last block.
func (p *Pack) pad() {
	if over := p.size % blockSize; over > 0 {
		p.piece(zeros[over:])
	}
}

// end ends the tar: two blocks of zeros (POSIX.1-2017, pax).
func (p *Pack) end() {
	p.piece(zeros[:])
	p.piece(zeros[:])
}

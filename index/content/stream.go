package content

import (
	"bufio"
	"bytes"
	"io"
)

const (
	// window is what a stream reads ahead, in bytes. A boundary line must fit into it.
	window = 16 << 10
	// maxBoundary is far more than the 70 bytes of RFC 2046 §5.1.1, for mailers that do
	// not count.
	maxBoundary = 512
	// maxPadding bounds the white space behind a boundary.
	maxPadding = 512
)

// stream reads a message, or one that is a part of another, and stops before each
// boundary line of the multiparts that are open (RFC 2046 §5.1). It looks at each byte a
// bounded number of times, however deep they are nested.
type stream struct {
	r     *bufio.Reader
	open  [][]byte // the boundaries with their dashes, outermost first
	ended bool     // r has no more

	clear int  // how many of the bytes read ahead are of the part, for certain
	fresh bool // a line begins behind them
	stop  bool // behind them is a boundary line, or the end
	level int  // the multipart whose boundary it is, -1 at the end
	last  bool // it closes that multipart
	line  int  // its length, with the end of the line before it
}

func newStream(r io.Reader) *stream {
	return &stream{r: bufio.NewReaderSize(r, window), fresh: true}
}

// push opens a multipart. It is called where a line begins.
func (s *stream) push(boundary string) (level int) {
	s.open = append(s.open, []byte("--"+boundary))
	s.clear, s.stop, s.fresh = 0, false, true // what was content may hold the new boundary
	return len(s.open) - 1
}

// pop closes a multipart and those in it.
func (s *stream) pop(level int) { s.open = s.open[:level] }

// at reports whether s has stopped before a boundary of a multipart.
func (s *stream) at(level int) bool { return s.clear == 0 && s.stop && s.level == level }

// pass goes on behind the boundary line before which s has stopped.
func (s *stream) pass() {
	_, _ = s.r.Discard(s.line) // it is in the buffer
	s.stop, s.fresh = false, true
}

// ahead returns bytes of the part that were read ahead, none at its end.
func (s *stream) ahead() []byte {
	for s.clear == 0 && !s.stop {
		s.extend()
	}
	b, _ := s.r.Peek(s.clear)
	return b
}

// atLeast is as ahead, and returns n bytes or more if the part has them.
func (s *stream) atLeast(n int) []byte {
	for s.clear < n && !s.stop && s.extend() {
	}
	b, _ := s.r.Peek(s.clear)
	return b
}

// skip goes on by n of the bytes read ahead.
func (s *stream) skip(n int) {
	_, _ = s.r.Discard(n)
	s.clear -= n
}

// Read implements io.Reader, up to the end of the part.
func (s *stream) Read(p []byte) (int, error) {
	b := s.ahead()
	if len(b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b)
	s.skip(n)
	return n, nil
}

// WriteTo implements io.WriterTo, likewise.
func (s *stream) WriteTo(w io.Writer) (n int64, err error) {
	for b := s.ahead(); len(b) > 0; b = s.ahead() {
		if _, err = w.Write(b); err != nil {
			return n, err
		}
		n += int64(len(b))
		s.skip(len(b))
	}
	return n, nil
}

// drain goes to the end of the part.
func (s *stream) drain() {
	for b := s.ahead(); len(b) > 0; b = s.ahead() {
		s.skip(len(b))
	}
}

// more reads further, beyond what is buffered. It reports whether it could.
func (s *stream) more() bool {
	if s.ended || s.r.Buffered() == window {
		return false
	}
	_, err := s.r.Peek(s.r.Buffered() + 1)
	s.ended = err != nil
	return !s.ended
}

// extend finds out more about the bytes behind the clear ones. It reports whether it did,
// and does unless the buffer is full of clear ones.
func (s *stream) extend() bool {
	for {
		all, _ := s.r.Peek(s.r.Buffered())
		b := all[s.clear:]
		if len(b) == 0 {
			if s.more() {
				continue
			}
			if s.ended {
				s.stop, s.level, s.line = true, -1, 0
			}
			return s.ended
		}
		begin := 0 // of a line that may be a boundary
		if !s.fresh {
			i := bytes.Index(b, []byte("\n--"))
			if i < 0 {
				if held := undecided(b); held < len(b) {
					s.clear += len(b) - held
				} else if s.more() {
					continue
				} else if s.ended {
					s.clear += len(b)
				} else {
					return false
				}
				return true
			}
			end := i
			if i > 0 && b[i-1] == '\r' {
				end--
			}
			if end > 0 {
				s.clear += end
				return true
			}
			begin = i + 1
		}
		level, last, n := s.match(b[begin:])
		if n > 0 {
			s.stop, s.level, s.last, s.line = true, level, last, begin+n
			return true
		}
		if n == 0 {
			if s.more() || s.ended {
				continue
			}
			return false
		}
		s.fresh = false
		if begin > 0 {
			s.clear += begin + len("--")
			return true
		}
	}
}

// undecided returns how many bytes at the end of b may begin the end of a line that a
// boundary follows.
func undecided(b []byte) int {
	n := 0
	if bytes.HasSuffix(b, []byte("-")) {
		n = 1
	}
	switch rest := b[:len(b)-n]; {
	case bytes.HasSuffix(rest, []byte("\r\n")):
		return n + 2
	case bytes.HasSuffix(rest, []byte("\n")):
		return n + 1
	case n == 0 && bytes.HasSuffix(b, []byte("\r")):
		return 1
	}
	return 0
}

// match finds the open multipart of which a line is a boundary, and its length with the
// end of the line. Of several it is the outermost, as other parsers have it. length is 0
// if more must be read to know, and -1 if it is none.
func (s *stream) match(line []byte) (level int, last bool, length int) {
	length = -1
	for level, boundary := range s.open {
		if len(line) > 2 && line[2] != boundary[2] {
			continue // most are told apart by this
		}
		if !bytes.HasPrefix(line, boundary) {
			if !s.ended && bytes.HasPrefix(boundary, line) {
				length = 0
			}
			continue
		}
		rest := line[len(boundary):]
		n := s.lineEnd(rest)
		if n >= 0 {
			return level, false, len(boundary) + n
		}
		if bytes.HasPrefix(rest, []byte("--")) {
			if n = s.lineEnd(rest[2:]); n >= 0 {
				return level, true, len(boundary) + 2 + n
			}
		}
		if n == unseen || !s.ended && string(rest) == "-" {
			length = 0
		}
	}
	return 0, false, length
}

// unseen says that a line may go on.
const unseen = -2

// lineEnd returns the length of white space up to the end of a line and with it, unseen,
// or -1 if there is something else.
func (s *stream) lineEnd(b []byte) int {
	rest := bytes.TrimLeft(b, " \t")
	n := len(b) - len(rest)
	switch {
	case n > maxPadding:
		return -1
	case len(rest) == 0 && s.ended:
		return n
	case !s.ended && (len(rest) == 0 || string(rest) == "\r"):
		return unseen
	case rest[0] == '\n':
		return n + 1
	case bytes.HasPrefix(rest, []byte("\r\n")):
		return n + 2
	}
	return -1
}

package dkim

import (
	"bytes"
	"crypto/sha256"
)

// canon is a way to make text canonical (RFC 6376 §3.4).
type canon uint8

const (
	simple canon = iota
	relaxed
)

// String returns the word of c=.
func (c canon) String() string {
	if c == relaxed {
		return "relaxed"
	}
	return "simple"
}

// bodyHash is the hash of a canonical body that comes in parts (RFC 6376 §3.4.3, §3.4.4).
// Empty lines are counted until something follows them, so its work is linear.
type bodyHash struct {
	hash  lengths
	out   []byte // canonical text that is not hashed yet; relaxed only
	lines int64  // ends of lines that are held back
	cr    bool   // a CR behind them that may begin another; simple only
	held  uint8  // what a relaxed body holds back
	text  bool   // a relaxed body has text
	canon canon
}

// A part is made canonical in blocks. Text of a block fits into what two take, with what
// was held back before it.
const blockSize = 2 << 10

// blank is what held back lines are hashed from.
var blank = bytes.Repeat([]byte("\r\n"), 1<<10)

func newBodyHash(c canon) *bodyHash {
	b := &bodyHash{hash: lengths{hash: sha256.New()}, canon: c}
	if c == relaxed {
		b.out = make([]byte, 0, 2*blockSize+64)
	}
	return b
}

func (b *bodyHash) write(part []byte) {
	if b.canon == simple {
		b.writeSimple(part)
	} else {
		b.writeRelaxed(part)
	}
}

// writeSimple hashes all but the empty lines at the end of what has come.
func (b *bodyHash) writeSimple(part []byte) {
	if b.cr && len(part) > 0 {
		b.cr = false
		if part[0] == '\n' {
			b.lines++
			part = part[1:]
		} else {
			b.flushLines()
			b.hash.write([]byte{'\r'})
		}
	}
	if len(part) == 0 {
		return
	}
	end := len(part)
	if part[end-1] == '\r' {
		b.cr = true
		end--
	}
	var lines int64
	for end >= 2 && part[end-1] == '\n' && part[end-2] == '\r' {
		lines++
		end -= 2
	}
	if end > 0 {
		b.flushLines()
		b.hash.write(part[:end])
	}
	b.lines += lines
}

// flushLines hashes the ends of lines that were held back.
func (b *bodyHash) flushLines() {
	for b.lines > 0 {
		n := min(b.lines, int64(len(blank)/2))
		b.hash.write(blank[:2*n])
		b.lines -= n
	}
}

// What a relaxed body holds back, as bits: most bytes find nothing.
const (
	heldSpace = 1 << iota // white space
	heldCR                // a CR that may end a line
	heldLines             // ends of lines, counted
)

// writeRelaxed adds the canonical form of a part to what is to be hashed. Its loop is what
// BenchmarkBody measures: no call for an ordinary byte.
func (b *bodyHash) writeRelaxed(part []byte) {
	for len(part) > 0 {
		block := part[:min(len(part), blockSize)]
		part = part[len(block):]
		if len(b.out)+2*blockSize > cap(b.out) {
			b.flushOut()
		}
		out, held := b.out, b.held
		for i := 0; i < len(block); i++ {
			if held == 0 {
				n := verbatim(block[i:])
				out = append(out, block[i:i+n]...)
				if i += n; i == len(block) {
					break
				}
			}
			c := block[i]
			if held&heldCR != 0 {
				held &^= heldCR
				if c == '\n' {
					// White space at the end of a line goes.
					held = heldLines
					b.lines++
					continue
				}
				if held != 0 {
					out = b.release(out, held)
				}
				out = append(out, '\r')
				held = 0
			}
			switch c {
			case ' ', '\t':
				held |= heldSpace
				continue
			case '\r':
				held |= heldCR
				continue
			}
			if held != 0 {
				out = b.release(out, held)
				held = 0
			}
			out = append(out, c)
		}
		b.out, b.held = out, held
	}
}

// verbatim returns how many bytes stand for themselves: all but white space and CR, and
// single spaces between them.
func verbatim(text []byte) int {
	for i, c := range text {
		if c > ' ' {
			continue
		}
		switch c {
		case '\t', '\r':
			return i
		case ' ':
			if i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\t' || text[i+1] == '\r' {
				return i
			}
		}
	}
	return len(text)
}

// release appends lines and white space that were held back.
func (b *bodyHash) release(out []byte, held uint8) []byte {
	if held&heldLines != 0 {
		if b.lines == 1 {
			out = append(out, '\r', '\n')
			b.lines = 0
		} else {
			b.out = out
			b.flushOut()
			b.flushLines()
			out = b.out
		}
	}
	if held&heldSpace != 0 {
		out = append(out, ' ')
	}
	return out
}

func (b *bodyHash) flushOut() {
	b.text = b.text || len(b.out) > 0
	b.hash.write(b.out)
	b.out = b.out[:0]
}

// end ends the body. It may be called once.
func (b *bodyHash) end() {
	switch b.canon {
	case simple:
		if b.cr {
			b.flushLines()
			b.hash.write([]byte{'\r'})
		}
		// The last line always ends, and an empty body is an empty line.
		b.hash.write([]byte("\r\n"))
	default:
		if b.held&heldCR != 0 {
			b.out = append(b.release(b.out, b.held&^heldCR), '\r')
		}
		b.flushOut()
		if b.text {
			b.hash.write([]byte("\r\n"))
		}
	}
	b.hash.write(nil) // a mark may stand at the very end
}

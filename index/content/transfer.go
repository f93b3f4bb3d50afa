package content

import (
	"bytes"
	"io"
	"strings"
)

// decoder returns the decoded body of a part. known reports whether encoding is one.
func decoder(s *stream, encoding string) (decoded transferDecoder, known bool) {
	switch encoding {
	case "", "7bit", "8bit", "binary":
		return plainDecoder{s}, true
	case "base64":
		return &base64Decoder{s: s}, true
	case "quoted-printable":
		return &quotedDecoder{s: s}, true
	}
	return plainDecoder{s}, false
}

// transferDecoder decodes a body. broken says after its end that it was not as it should
// be. What can be decoded is.
type transferDecoder interface {
	io.Reader
	broken() bool
}

type plainDecoder struct{ *stream }

func (plainDecoder) broken() bool { return false }

// base64Decoder skips what is not of the alphabet, and begins anew behind padding, as
// many mailers write several encoded texts one behind the other.
type base64Decoder struct {
	s      *stream
	bits   uint32
	count  uint // of the characters in bits
	padded uint // of the characters of padding that are still to come
	bad    bool
	small  [3]byte
	left   []byte // decoded into small, and not read yet
}

const (
	base64Space   = 0x40 // white space, which is skipped
	base64Padding = 0x41
	base64Junk    = 0xff
)

var base64Values = func() (values [256]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range values {
		switch c := byte(i); {
		case strings.IndexByte(alphabet, c) >= 0:
			values[i] = byte(strings.IndexByte(alphabet, c))
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			values[i] = base64Space
		case c == '=':
			values[i] = base64Padding
		default:
			values[i] = base64Junk
		}
	}
	return values
}()

// Read implements io.Reader.
func (d *base64Decoder) Read(p []byte) (int, error) {
	if len(p) < 3 {
		if len(d.left) == 0 && len(p) > 0 {
			n, err := d.Read(d.small[:])
			if err != nil {
				return 0, err
			}
			d.left = d.small[:n]
		}
	}
	if n := copy(p, d.left); n > 0 || len(p) == 0 {
		d.left = d.left[n:]
		return n, nil
	}
	for {
		b := d.s.ahead()
		if len(b) == 0 {
			if n := d.flush(p); n > 0 {
				return n, nil
			}
			return 0, io.EOF
		}
		used, n := d.decode(b, p)
		if d.s.skip(used); n > 0 {
			return n, nil
		}
	}
}

// decode decodes what it can of b into p, and returns how much of both it has used.
func (d *base64Decoder) decode(b, p []byte) (used, n int) {
	for used < len(b) && n+3 <= len(p) {
		if d.count == 0 && used+4 <= len(b) {
			b0, b1, b2, b3 := base64Values[b[used]], base64Values[b[used+1]], base64Values[b[used+2]], base64Values[b[used+3]]
			if b0|b1|b2|b3 < base64Space && d.padded == 0 {
				bits := uint32(b0)<<18 | uint32(b1)<<12 | uint32(b2)<<6 | uint32(b3)
				p[n], p[n+1], p[n+2] = byte(bits>>16), byte(bits>>8), byte(bits)
				n += 3
				used += 4
				continue
			}
		}
		n += d.one(base64Values[b[used]], p[n:])
		used++
	}
	return used, n
}

// one takes one character, and returns how many bytes it has written.
func (d *base64Decoder) one(value byte, p []byte) (n int) {
	switch value {
	case base64Space:
	case base64Junk:
		d.bad = true
	case base64Padding:
		switch {
		case d.count >= 2:
			d.padded = 3 - d.count
			n = d.write(p)
		case d.padded > 0 && d.count == 0:
			d.padded--
		default:
			d.bad = true
		}
	default:
		if d.padded > 0 {
			d.bad, d.padded = true, 0
		}
		d.bits = d.bits<<6 | uint32(value)
		if d.count++; d.count == 4 {
			n = d.write(p)
		}
	}
	return n
}

// write writes the bytes of the characters that there are.
func (d *base64Decoder) write(p []byte) (n int) {
	bits := d.bits << (6 * (4 - d.count))
	for n = range int(d.count) - 1 {
		p[n] = byte(bits >> (16 - 8*n))
	}
	n = int(d.count) - 1
	d.bits, d.count = 0, 0
	return n
}

// flush writes what is left at the end, where padding should have been.
func (d *base64Decoder) flush(p []byte) (n int) {
	d.bad = d.bad || d.count > 0 || d.padded > 0
	d.padded = 0
	if d.count >= 2 {
		n = d.write(p)
	}
	d.bits, d.count = 0, 0
	return n
}

func (d *base64Decoder) broken() bool { return d.bad }

// quotedDecoder leaves what is not encoded as it should be as it is, and white space at
// the end of lines out (RFC 2045 §6.7).
type quotedDecoder struct {
	s    *stream
	bad  bool
	line []byte // decoded
	left []byte // of it, not read yet
}

// maxQuotedLine is where a line is taken apart that is much longer than the 76 characters
// that it may have.
const maxQuotedLine = 4096

// Read implements io.Reader.
func (d *quotedDecoder) Read(p []byte) (int, error) {
	for len(d.left) == 0 {
		b := d.s.atLeast(maxQuotedLine)
		if len(b) == 0 {
			return 0, io.EOF
		}
		n, whole := bytes.IndexByte(b, '\n')+1, true
		if n == 0 {
			n, whole = min(len(b), maxQuotedLine), d.s.stop && len(b) <= maxQuotedLine
		}
		d.s.skip(d.decode(b[:n], whole))
	}
	n := copy(p, d.left)
	d.left = d.left[n:]
	return n, nil
}

// decode decodes a line, or a piece of one that is too long. It returns how many bytes of
// it are used.
func (d *quotedDecoder) decode(b []byte, whole bool) (used int) {
	text, end := b, []byte(nil)
	if whole {
		text = bytes.TrimRight(b, " \t\r\n")
		end = bytes.TrimLeft(b[len(text):], " \t\r")
		if bytes.HasSuffix(b, []byte("\r\n")) {
			end = b[len(b)-2:]
		}
		if bytes.HasSuffix(text, []byte("=")) {
			text, end = text[:len(text)-1], nil
		}
	} else if i := bytes.LastIndexByte(b, '='); i >= len(b)-2 && i > 0 {
		text, b = b[:i], b[:i]
	}
	d.line = d.line[:0]
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '=' {
			if high, low := digit(text, i+1), digit(text, i+2); high >= 0 && low >= 0 {
				c = byte(high<<4 | low)
				i += 2
			} else {
				d.bad = true
			}
		}
		d.line = append(d.line, c)
	}
	d.line = append(d.line, end...)
	d.left = d.line
	return len(b)
}

// digit returns the value of a hexadecimal digit, or -1.
func digit[T string | []byte](b T, i int) int {
	if i >= len(b) {
		return -1
	}
	switch c := b[i]; {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

func (d *quotedDecoder) broken() bool { return d.bad }

package codec

import "bytes"

// BodyDecoder decodes the mail text that follows the 354 to DATA: it removes the dots of
// transparency and finds the end of the text (RFC 5321 §4.5.2). The zero value is ready
// for the start of a message.
//
// Only CRLF "." CRLF ends the text, or "." CRLF at its very start. A decoder that also
// took LF "." LF, or a mixture of both, for the end would let a sender smuggle a second
// message past a relay that does not (RFC 5321 §4.1.1.4). For the same reason a dot is
// removed after CRLF only. All other octets pass unchanged, including bare CR and LF,
// which Report shows.
type BodyDecoder struct {
	state  bodyState
	report BodyReport
	// line is the length of the current line so far, in decoded octets. It includes a CR
	// that may turn out to begin the end of the line.
	line int
}

// BodyReport says which unusual octets and how long a line the BodyDecoder has seen. It
// is final once Decode has returned done.
type BodyReport struct {
	// BareCR is set by a CR that no LF follows, BareLF by an LF that no CR precedes.
	BareCR, BareLF bool
	// NUL is set by a zero octet, EightBit by an octet above 127.
	NUL, EightBit bool
	// LongestLine is the length of the longest line that has ended, in octets after the
	// removal of dots, without its CRLF. RFC 5321 §4.5.3.1.6 allows 998.
	LongestLine int
}

// bodyState is the position of the next octet within a line. An octet that may belong to
// the end of the message is held back in the state and not in a buffer.
type bodyState uint8

const (
	bodyLineStart bodyState = iota // after CRLF, or at the very start
	bodyInLine                     // anywhere else
	bodyCR                         // after a CR, which was written
	// The states above hold back no octet; those below do.
	bodyDot   // after a dot at the start of a line, not written
	bodyDotCR // after that dot and a CR, neither written
	bodyDone  // after the end of the text
)

// minBodyRoom is the least room in dst for decoding: one step writes at most two octets.
const minBodyRoom = 2

// Report returns the findings of the decoder so far.
func (d *BodyDecoder) Report() BodyReport { return d.report }

// Ambiguous reports whether the text so far has a bare CR, a bare LF or a NUL. Programs
// differ in what they take there for the end of a line or of a message (RFC 5321 §2.3.8,
// §4.1.1.4). A CR at the end of the input is not bare yet.
func (d *BodyDecoder) Ambiguous() bool {
	return d.report.BareCR || d.report.BareLF || d.report.NUL
}

// Decode decodes src into dst, which must not overlap it and needs room for at least 4
// octets. It returns the number of octets written (nd) and consumed (ns). It stops when
// src is used up or dst is full. After the end of the message it stops with done set, and
// src[ns:] begins the next command. Once done, it consumes nothing more.
func (d *BodyDecoder) Decode(dst, src []byte) (nd, ns int, done bool) {
	for ns < len(src) && len(dst)-nd >= minBodyRoom && d.state != bodyDone {
		n := 0
		switch {
		case canScan && ns > 0 && d.state <= bodyCR:
			n = d.scan(dst[nd:], src[ns-1:])
		case d.state == bodyInLine:
			n = d.run(dst[nd:], src[ns:])
		}
		nd += n
		ns += n
		if n == 0 {
			nd += d.step(dst[nd:], src[ns])
			ns++
		}
	}
	return nd, ns, d.state == bodyDone
}

// step decodes one octet in any state and returns the number of octets written.
func (d *BodyDecoder) step(dst []byte, c byte) int {
	switch d.state {
	case bodyLineStart:
		if c == '.' {
			d.state = bodyDot
			return 0
		}
	case bodyDot:
		if c == '\r' {
			d.state = bodyDotCR
			return 0
		}
	case bodyDotCR:
		if c == '\n' {
			d.state = bodyDone
			return 0
		}
		// The dot was stuffed after all, and the CR is a bare one.
		dst[0] = '\r'
		d.line++
		d.state = bodyCR
		return 1 + d.write(dst[1:], c)
	}
	return d.write(dst, c)
}

// write passes c on, in a state that holds back no octet.
func (d *BodyDecoder) write(dst []byte, c byte) int {
	afterCR := d.state == bodyCR
	dst[0] = c
	d.state = bodyInLine
	switch {
	case c == '\n' && afterCR:
		d.report.LongestLine = max(d.report.LongestLine, d.line-1)
		d.line = 0
		d.state = bodyLineStart
		return 1
	case c == '\n':
		d.report.BareLF = true
	case c == '\r':
		d.state = bodyCR
	case c == 0:
		d.report.NUL = true
	case c >= 0x80:
		d.report.EightBit = true
	}
	if afterCR {
		d.report.BareCR = true
	}
	d.line++
	return 1
}

// bodyRun is the most that one run looks at. run reads the octets up to five times, so
// they should still be in the first-level cache.
const bodyRun = 8 << 10

var crOctet = []byte{'\r'}

// scan decodes plain text of lines from src[1:]. src[0] is the octet before it, and the
// state holds back no octet. It returns the number of octets read, which equals the
// number written: 0 when the next octet needs another path.
func (d *BodyDecoder) scan(dst, src []byte) int {
	n := min(len(src)-1, len(dst), scanMost) / scanBlock * scanBlock
	if n == 0 {
		// Less than a block is left: use the portable code.
		if d.state == bodyInLine {
			return d.run(dst, src[1:])
		}
		return 0
	}
	s := lineScan{line: d.line, longest: d.report.LongestLine}
	n = scanLines(&dst[0], &src[1], n, &s)
	if n == 0 {
		return 0
	}
	d.line, d.report.LongestLine = s.line, s.longest
	if s.odd {
		d.noteOctets(dst[:n])
	}
	switch src[n] {
	case '\n':
		d.state = bodyLineStart
	case '\r':
		d.state = bodyCR
	default:
		d.state = bodyInLine
	}
	return n
}

// run decodes from inside a line, after neither CR nor LF. It copies everything up to a
// dot that follows CRLF. It returns the number of octets read, which equals the number
// written and is never 0.
func (d *BodyDecoder) run(dst, src []byte) int {
	src = src[:min(len(src), len(dst), bodyRun)]
	lineStart := -d.line // start of the current line, as an index into src
	longest := d.report.LongestLine
	ends, from := 0, 0
	d.state = bodyInLine
	for {
		i := bytes.IndexByte(src[from:], '\n')
		if i < 0 {
			break
		}
		i += from
		from = i + 1
		if i == 0 || src[i-1] != '\r' {
			d.report.BareLF = true
			continue
		}
		ends++
		longest = max(longest, i-1-lineStart)
		lineStart = from
		if from == len(src) || src[from] == '.' {
			src = src[:from]
			d.state = bodyLineStart
			break
		}
	}
	d.line = len(src) - lineStart
	d.report.LongestLine = longest
	copy(dst, src)
	if src[len(src)-1] == '\r' {
		d.state = bodyCR
		ends++
	}
	if !d.report.BareCR && bytes.Count(src, crOctet) != ends {
		d.report.BareCR = true
	}
	if !(d.report.NUL && d.report.EightBit) && hasNULOr8Bit(src) {
		d.noteOctets(src)
	}
	return len(src)
}

// noteOctets records whether src holds a NUL or 8-bit octets.
func (d *BodyDecoder) noteOctets(src []byte) {
	if !d.report.EightBit {
		d.report.EightBit = has8Bit(src)
	}
	if !d.report.NUL {
		d.report.NUL = bytes.IndexByte(src, 0) >= 0
	}
}

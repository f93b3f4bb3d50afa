package codec

import "bytes"

// BodyDecoder decodes what follows the 354 to DATA: it removes the dots of
// transparency and finds the end (RFC 5321 §4.5.2). The zero value is ready for
// the start of a message.
//
// The end is CRLF "." CRLF and nothing else, or "." CRLF at the very start. A
// decoder that also took LF "." LF or a mixture of both for the end would let a
// sender smuggle a second message past a relay that does not (RFC 5321
// §4.1.1.4). For the same reason a dot is removed behind CRLF only. All other
// octets pass unchanged, bare CR and LF among them: Report tells of them.
type BodyDecoder struct {
	state  bodyState
	report BodyReport
	// line is the length of the current line so far, in decoded octets, with a
	// CR that may turn out to be the beginning of its end.
	line int
}

// BodyReport is what a BodyDecoder has seen. It is final once Decode said done.
type BodyReport struct {
	// BareCR: a CR that no LF follows; BareLF: an LF that no CR precedes.
	BareCR, BareLF bool
	// NUL: an octet of 0; EightBit: an octet above 127.
	NUL, EightBit bool
	// LongestLine is the length of the longest line that has ended, in octets
	// after the removal of dots, without its CRLF (RFC 5321 §4.5.3.1.6 allows
	// 998).
	LongestLine int
}

// bodyState is where in a line the next octet stands. An octet that may belong
// to the end of the message is kept in here and not in any buffer.
type bodyState uint8

const (
	bodyLineStart bodyState = iota // behind CRLF, or at the very start
	bodyInLine                     // anywhere else
	bodyCR                         // behind a CR, which was written
	// The states before hold nothing back, the following do.
	bodyDot   // behind a dot at the start of a line, not written
	bodyDotCR // behind that dot and a CR, neither written
	bodyDone  // behind the end
)

// minBodyRoom is the room in dst without which nothing is decoded: one step
// writes two octets at most.
const minBodyRoom = 2

// Report tells what the decoder has seen so far.
func (d *BodyDecoder) Report() BodyReport { return d.report }

// Ambiguous reports whether the text so far has a bare CR, a bare LF or a NUL:
// programs differ in what they take for the end of a line, or of a message, there
// (RFC 5321 §2.3.8, §4.1.1.4). A CR at the end of the input is not bare yet.
func (d *BodyDecoder) Ambiguous() bool {
	return d.report.BareCR || d.report.BareLF || d.report.NUL
}

// Decode decodes src into dst, which must not overlap: nd octets were written
// and ns consumed. It stops when src is used up, when dst is full (give it room
// for at least 4 octets), or with done behind the end of the message: what
// stands in src[ns:] is the next command. Once done, it consumes nothing more.
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

// step decodes one octet in any state and gives the number of octets written.
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
		// The dot was one of transparency after all, and the CR is a bare one.
		dst[0] = '\r'
		d.line++
		d.state = bodyCR
		return 1 + d.write(dst[1:], c)
	}
	return d.write(dst, c)
}

// write passes one octet on, in a state that holds none back.
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

// bodyRun is how much one run looks at. It reads the octets up to five times, so
// they should still be in the first-level cache.
const bodyRun = 8 << 10

var crOctet = []byte{'\r'}

// scan decodes plain text of lines from src[1:]; src[0] is the octet before it,
// and the state holds none back. It gives the number of octets, read and written
// alike: 0 when something else comes first.
func (d *BodyDecoder) scan(dst, src []byte) int {
	n := min(len(src)-1, len(dst), scanMost) / scanBlock * scanBlock
	if n == 0 {
		// Fewer than a block: the portable way.
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

// run decodes from a place inside a line, behind neither CR nor LF: everything
// up to a dot that follows CRLF is copied as it is. It gives the number of
// octets, read and written alike, and is never 0.
func (d *BodyDecoder) run(dst, src []byte) int {
	src = src[:min(len(src), len(dst), bodyRun)]
	lineStart := -d.line // where the current line began, as an index into src
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

// noteOctets finds which of NUL and 8-bit octets src holds.
func (d *BodyDecoder) noteOctets(src []byte) {
	if !d.report.EightBit {
		d.report.EightBit = has8Bit(src)
	}
	if !d.report.NUL {
		d.report.NUL = bytes.IndexByte(src, 0) >= 0
	}
}

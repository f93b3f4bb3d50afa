package pipeline

import "bytes"

// maxHeader bounds the header block that is read, and maxField the part of a line that
// is kept.
const (
	maxHeader = 256 << 10
	maxField  = 998 // RFC 5322 §2.1.1
)

// HeaderSummary holds the fields that Sluice reads in a message's own header block.
type HeaderSummary struct {
	Received  int    // number of Received fields (RFC 5321 §6.3: loop detection)
	MessageID []byte // the body of the first Message-ID field, white space trimmed

	folded bool // a Message-ID has begun and its body is on the next line
}

func (s *HeaderSummary) reset() {
	s.Received, s.MessageID, s.folded = 0, s.MessageID[:0], false
}

// ScanHeader reads the header block of a body: up to the first empty line, at most
// 256 KiB, and the first 998 bytes of each line. A body that is stored below an empty
// line has no header. ScanHeader allocates only when the buffer of an earlier message is
// too small for the Message-ID.
func (s *HeaderSummary) ScanHeader(b *Body) {
	s.reset()
	var carried [maxField]byte // the start of a line that goes on in the next slab
	if SeparatorOf(b.start(carried[:])) == emptyLine {
		return
	}
	kept, seen := 0, 0
	for _, slab := range b.slabs {
		slab = slab[:min(len(slab), maxHeader-seen)]
		seen += len(slab)
		for len(slab) > 0 {
			end := bytes.IndexByte(slab, '\n')
			piece := slab
			if end >= 0 {
				piece = slab[:end+1]
			}
			slab = slab[len(piece):]
			line := piece[:min(len(piece), maxField)]
			if kept > 0 || end < 0 {
				kept += copy(carried[kept:], piece)
				line = carried[:kept]
			}
			if end < 0 {
				continue
			}
			kept = 0
			if !s.field(bytes.TrimRight(line, "\r\n")) {
				return
			}
		}
	}
}

// field reads one line. It returns false at the end of the header block.
func (s *HeaderSummary) field(line []byte) bool {
	if len(line) == 0 {
		return false
	}
	if line[0] == ' ' || line[0] == '\t' { // RFC 5322 §2.2.3
		if s.folded {
			s.messageID(line)
		}
		return true
	}
	s.folded = false
	if hasFieldName(line, "received:") {
		s.Received++
	}
	if len(s.MessageID) == 0 && hasFieldName(line, "message-id:") {
		s.messageID(line[len("message-id:"):])
	}
	return true
}

// messageID takes the body of the field. Many mailers fold before the id, because the
// line with it is long.
func (s *HeaderSummary) messageID(body []byte) {
	s.MessageID = append(s.MessageID, bytes.TrimSpace(body)...)
	s.folded = len(s.MessageID) == 0
}

// hasFieldName reports whether a line starts with a field name, given in lower case.
func hasFieldName(line []byte, name string) bool {
	if len(line) < len(name) {
		return false
	}
	for i := range len(name) {
		c := line[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

package pipeline

import "bytes"

// maxHeader bounds the header block that is looked at, and maxField what is
// kept of one line.
const (
	maxHeader = 256 << 10
	maxField  = 998 // RFC 5322 §2.1.1
)

// HeaderSummary is what Sluice reads in a message's own header block.
type HeaderSummary struct {
	Received  int    // number of Received fields (RFC 5321 §6.3: loop detection)
	MessageID []byte // the body of the first Message-ID field, white space trimmed
}

func (s *HeaderSummary) reset() { s.Received, s.MessageID = 0, s.MessageID[:0] }

// ScanHeader reads the header block of a body: up to the first empty line, at
// most 256 KiB. It allocates only when the buffer of an earlier message is too
// small for the Message-ID.
func (s *HeaderSummary) ScanHeader(b *Body) {
	s.reset()
	var carried [maxField]byte // the start of a line that goes on in the next slab
	kept, seen := 0, 0
	for _, slab := range b.slabs {
		for len(slab) > 0 && seen < maxHeader {
			end := bytes.IndexByte(slab, '\n')
			piece := slab
			if end >= 0 {
				piece = slab[:end+1]
			}
			slab = slab[len(piece):]
			seen += len(piece)
			line := piece
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

// field reads one unfolded line; false at the end of the header block.
func (s *HeaderSummary) field(line []byte) bool {
	if len(line) == 0 {
		return false
	}
	if hasFieldName(line, "received:") {
		s.Received++
	}
	if len(s.MessageID) == 0 && hasFieldName(line, "message-id:") {
		s.MessageID = append(s.MessageID, bytes.TrimSpace(line[len("message-id:"):])...)
	}
	return true
}

// hasFieldName compares the start of a line with a field name in lower case.
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

package content

import (
	"bytes"
	"iter"
	"slices"
	"strings"
)

// Bounds of a header, in bytes but for maxFields.
const (
	maxMessageHeader = 256 << 10
	maxMessageField  = 128 << 10
	maxPartHeader    = 64 << 10
	maxPartField     = 32 << 10
	maxFields        = 2000
	maxFieldName     = 256
)

// header is what was kept of a header.
type header struct {
	block []byte // the fields, complete lines as they came
	whole bool   // nothing was left out or is malformed
}

// readHeader reads a header and the blank line behind it. It keeps at most most bytes of
// it and mostField of a field, in memory that the next header of the walk may use again.
//
// A line that is no field is left out. If what follows it is not of a header either, the
// text has begun with it, without a blank line.
func readHeader(s *stream, most, mostField int, memory []byte) header {
	h := header{block: memory[:0], whole: true}
	fields, field := 0, 0 // how many, and where the last begins
	for begin, keep := true, false; ; {
		b := s.ahead()
		if len(b) == 0 {
			h.whole = h.whole && fields > 0
			return h
		}
		if begin {
			switch b = s.atLeast(nextLine); kindOf(b, fields > 0) {
			case lineBlank:
				s.skip(bytes.IndexByte(b, '\n') + 1)
				h.whole = h.whole && fields > 0
				return h
			case lineField:
				fields++
				keep = fields <= maxFields
				h.whole = h.whole && keep
				if n := len(h.block); n > 0 && n < most && h.block[n-1] != '\n' {
					h.block = append(h.block, '\n') // the last was cut
				}
				field = len(h.block)
			case lineOther:
				h.whole = false
				if !goesOn(b, fields > 0) {
					return h
				}
				keep = false
			}
		}
		n := bytes.IndexByte(b, '\n') + 1
		begin = n > 0
		if n == 0 {
			n = len(b)
		}
		if kept := min(n, most-len(h.block), mostField-(len(h.block)-field)); keep {
			h.block = append(h.block, b[:kept]...)
			h.whole = h.whole && kept == n
		}
		s.skip(n)
	}
}

// The kinds of lines that a header has.
const (
	lineField = iota
	lineContinued
	lineBlank
	lineOther
)

// nextLine is how much is read ahead to see where the next line begins, in bytes.
const nextLine = 4096

// kindOf returns the kind of the line that begins b. afterField says that it may continue
// a field.
func kindOf(b []byte, afterField bool) int {
	switch {
	case b[0] == '\n' || bytes.HasPrefix(b, []byte("\r\n")):
		return lineBlank
	case afterField && (b[0] == ' ' || b[0] == '\t'):
		return lineContinued
	case len(fieldName(b)) > 0:
		return lineField
	}
	return lineOther
}

// goesOn reports whether the header goes on behind the line that begins b, which is no
// part of one. The first may be like those between the mails of an mbox file, or the rest
// of a field.
func goesOn(b []byte, afterField bool) bool {
	line, next, found := bytes.Cut(b, []byte("\n"))
	if !found || len(next) == 0 {
		return false
	}
	kind := kindOf(next, true)
	if afterField {
		return kind != lineOther
	}
	return bytes.HasPrefix(bytes.TrimPrefix(line, []byte(">")), []byte("From ")) ||
		(line[0] == ' ' || line[0] == '\t') && (kind == lineField || kind == lineContinued)
}

// fieldName returns the name of the field that begins b, or nothing.
func fieldName(b []byte) []byte {
	b = b[:min(len(b), maxFieldName)]
	colon := bytes.IndexByte(b, ':')
	if colon < 0 {
		return nil
	}
	name := bytes.TrimRight(b[:colon], " \t")
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return nil
		}
	}
	return name
}

// fields yields the names of the fields in lower case, and their values unfolded.
func (h header) fields() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for rest := h.block; len(rest) > 0; {
			end := 0
			for {
				n := bytes.IndexByte(rest[end:], '\n') + 1
				if n == 0 {
					end = len(rest)
					break
				}
				if end += n; end == len(rest) || rest[end] != ' ' && rest[end] != '\t' {
					break
				}
			}
			field := rest[:end]
			rest = rest[end:]
			name := string(fieldName(field))
			i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
			if i >= 0 && !yield(known[i], unfold(field[bytes.IndexByte(field, ':')+1:])) {
				return
			}
		}
	}
}

// known are the names of the fields that are read.
var known = []string{
	"from", "to", "cc", "reply-to", "subject", "date", "message-id", "references", "in-reply-to",
	"content-type", "content-disposition", "content-transfer-encoding",
}

// unfold returns a value without the ends of its lines, and without white space around it.
func unfold(value []byte) string {
	if value = bytes.TrimRight(value, "\r\n"); bytes.IndexByte(value, '\n') >= 0 {
		value = bytes.ReplaceAll(value, []byte("\r\n"), nil)
		value = bytes.ReplaceAll(value, []byte("\n"), nil)
	}
	return strings.Trim(string(value), " \t")
}

// Package fields splits the header of a message into its fields, as they came.
package fields

import (
	"bytes"
	"strings"
)

// MaxHeader is how long a header may be that is looked at, in bytes with the empty line
// that ends it.
const MaxHeader = 256 << 10

// MaxFields is how many fields of a header are looked at. Mail has a few dozen.
const MaxFields = 2000

// Field is one field of a header.
type Field struct {
	// Raw is the whole field, with the CRLF that ends it.
	Raw []byte
	// Colon is where the colon stands in Raw, and NameEnd where the name ends. They are -1
	// and 0 for lines that are no field: they have no name, and only Raw.
	Colon, NameEnd int
}

// Name returns the name of the field as it was written, without white space behind it.
func (f Field) Name() []byte { return f.Raw[:f.NameEnd] }

// Value returns what stands behind the colon, without the CRLF that ends the field.
func (f Field) Value() []byte { return bytes.TrimSuffix(f.Raw[f.Colon+1:], []byte("\r\n")) }

// Is reports whether the field has that name, in any case.
func (f Field) Is(name string) bool {
	return f.NameEnd == len(name) && strings.EqualFold(string(f.Name()), name)
}

// Cut returns the part of a header, with the empty line that ends it, that all programs read
// as one, and the rest, which some of them take for text already: behind an empty line, or
// from a line on that is no field, and CR or LF alone may end a line as CRLF does. The rest
// is without that empty line. The first line of an mbox is no end: it becomes a field when
// the message is stored.
func Cut(header []byte) (seen, rest []byte) {
	bare := false // CR or LF alone ended the line before
	for at := 0; at < len(header); {
		end := at
		for end < len(header) && header[end] != '\n' && header[end] != '\r' {
			end++
		}
		next := min(end+1, len(header))
		if end+1 < len(header) && header[end] == '\r' && header[end+1] == '\n' {
			next++
		}
		line := header[at:end]
		switch {
		case len(line) == 0:
			return header[:at], header[next:]
		case at > 0 && (line[0] == ' ' || line[0] == '\t'):
		case at == 0 && bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")):
		default:
			// Behind CR or LF alone there is no field of the old form for anybody.
			if name, colon := split(line); colon < 0 || bare && colon > name {
				return header[:at], header[at:]
			}
		}
		at, bare = next, next-end == 1
	}
	return header, nil
}

// Split returns the fields of a header, which are parts of it. Only CRLF ends a line, and
// white space behind it continues the field (RFC 5322 §2.2.3). Lines that are no field are
// among them, without a name. It stops at an empty line. It reports whether there are no
// more than MaxFields.
func Split(header []byte) ([]Field, bool) {
	list := make([]Field, 0, min(bytes.Count(header, []byte("\n")), 256))
	for len(header) > 0 && !bytes.HasPrefix(header, []byte("\r\n")) {
		end := fieldEnd(header)
		raw := header[:end]
		header = header[end:]
		if len(list) == MaxFields {
			return list, false
		}
		name, colon := split(raw)
		list = append(list, Field{Raw: raw, Colon: colon, NameEnd: name})
	}
	return list, true
}

// split returns where the name of a field ends and where its colon stands. The name is of
// printable ASCII; RFC 5322 §4.5 still allows white space behind it. Without one they are
// 0 and -1.
func split(raw []byte) (name, colon int) {
	for name < len(raw) && raw[name] > ' ' && raw[name] <= '~' && raw[name] != ':' {
		name++
	}
	colon = name
	for colon < len(raw) && (raw[colon] == ' ' || raw[colon] == '\t') {
		colon++
	}
	if name == 0 || colon == len(raw) || raw[colon] != ':' {
		return 0, -1
	}
	return name, colon
}

// fieldEnd returns the length of the first field. Its loop looks at each byte, which is
// quicker than a search where lines are short.
func fieldEnd(header []byte) int {
	for i, c := range header {
		if c != '\n' || i == 0 || header[i-1] != '\r' {
			continue
		}
		if i+1 == len(header) || header[i+1] != ' ' && header[i+1] != '\t' {
			return i + 1
		}
	}
	return len(header)
}

// Reader collects the header of a message that comes in parts. The zero value is ready.
type Reader struct {
	text []byte
	done bool
	long bool
}

// Write takes the next part of a message and returns how many bytes of it belong to the
// header. The rest is body; it is not taken. The text is copied.
func (r *Reader) Write(part []byte) int {
	if r.done || r.long {
		return 0
	}
	taken := part[:min(len(part), MaxHeader-len(r.text))]
	from := max(len(r.text)-3, 0)
	r.text = append(r.text, taken...)
	if end := headerEnd(r.text, from); end >= 0 {
		rest := len(r.text) - end
		r.text = r.text[:end]
		r.done = true
		return len(taken) - rest
	}
	if len(taken) < len(part) {
		r.long = true
	}
	return len(taken)
}

// headerEnd returns where the body begins, or -1. It looks from a place on.
func headerEnd(text []byte, from int) int {
	if bytes.HasPrefix(text, []byte("\r\n")) {
		return 2
	}
	if at := bytes.Index(text[from:], []byte("\r\n\r\n")); at >= 0 {
		return from + at + 4
	}
	return -1
}

// Done reports whether the empty line has come.
func (r *Reader) Done() bool { return r.done }

// TooLong reports whether the header is longer than MaxHeader.
func (r *Reader) TooLong() bool { return r.long }

// Text returns what was collected, with the empty line once it has come. It is the
// reader's own.
func (r *Reader) Text() []byte { return r.text }

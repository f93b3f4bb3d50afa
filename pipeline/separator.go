package pipeline

import "bytes"

// Separators between the trace fields and a body.
const (
	emptyLine = "\r\n"
	// mailboxLine precedes a first line that an mbox file has before its header.
	mailboxLine = "X-Mailbox-Line: "
)

// AppendSeparator appends to dst the separator that keeps a body's first line from
// changing the trace fields above it. It appends nothing when the body begins with a
// header field, or with the empty line after a header. It appends an empty line before
// white space, which would continue our field (RFC 5322 §2.2.3), and before any other
// text that is no field. The "From " line of an mbox becomes a field of its own, because
// an empty line there would make text of all fields after it. Postfix does the same.
func AppendSeparator(dst []byte, b *Body) []byte {
	var buf [maxField]byte
	return append(dst, SeparatorOf(b.start(buf[:]))...)
}

// SeparatorOf returns the separator above a body that begins with text: its first line, of
// which 998 bytes are enough.
func SeparatorOf(text []byte) string {
	switch {
	case len(text) == 0 || bytes.HasPrefix(text, []byte(emptyLine)) || beginsWithField(text):
		return ""
	case bytes.HasPrefix(bytes.TrimLeft(text, ">"), []byte("From ")):
		return mailboxLine
	}
	return emptyLine
}

// start copies the first bytes of b into buf and returns them.
func (b *Body) start(buf []byte) []byte {
	n := 0
	for _, slab := range b.slabs {
		if n == len(buf) {
			break
		}
		n += copy(buf[n:], slab)
	}
	return buf[:n]
}

// beginsWithField reports whether text begins with a field name and its colon, with
// white space between them perhaps (RFC 5322 §2.2, §4.5).
func beginsWithField(text []byte) bool {
	name := 0
	for name < len(text) && '!' <= text[name] && text[name] <= '~' && text[name] != ':' {
		name++
	}
	rest := bytes.TrimLeft(text[name:], " \t")
	return name > 0 && len(rest) > 0 && rest[0] == ':'
}

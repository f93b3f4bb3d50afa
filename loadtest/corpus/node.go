package corpus

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime/quotedprintable"
	"strconv"
	"strings"
)

// node is an entity of MIME: a leaf, a multipart, or a message.
type node struct {
	fields   fields // of MIME, and of a message in a message all
	content  []byte // of a leaf, before its transfer encoding
	encoding string // base64, quoted-printable, or nothing
	raw      []byte // of a leaf whose encoding is broken, in place of content
	part     Part   // of a leaf and of a message, without its number

	children []*node // of a multipart
	boundary string
	multi    bool // it is a multipart
	open     bool // without its end
	preamble string

	inner *node // of a message
}

// leaf returns a leaf of a type with its parameters.
func (w *writer) leaf(kind, params string, content []byte, encoding string) *node {
	n := &node{content: content, encoding: encoding}
	n.part.Type = kind
	if kind == "" {
		n.part.Type = "text/plain" // RFC 2045 §5.2
	} else {
		n.fields.add(w.cased("Content-Type"), w.kindCased(kind)+params)
	}
	if encoding != "" {
		n.fields.add("Content-Transfer-Encoding", encoding)
	}
	return n
}

// kindCased returns a type, which has no case.
func (w *writer) kindCased(kind string) string {
	if w.chance(12) {
		return strings.ToUpper(kind)
	}
	return kind
}

// boundaries are forms of boundaries, each with room for a number; some need quotes.
var boundaries = []string{"b%d", "----=_Part_%d_17.1", "'()+_,-./:=?%d", "=_%d_=", "0000000000%dabcdef"}

// multipart returns a multipart of a kind.
func (w *writer) multipart(kind string, children ...*node) *node {
	n := &node{multi: true, children: children}
	w.bounds++
	n.boundary = fmt.Sprintf(one(w, boundaries), w.bounds*1000+w.random.IntN(1000))
	written := `"` + n.boundary + `"`
	if !strings.ContainsAny(n.boundary, "()/:=?,'") && w.chance(2) {
		written = n.boundary
	}
	n.fields.add("Content-Type", w.kindCased("multipart/"+kind)+one(w, []string{"; ", ";\r\n\t"})+"boundary="+written)
	if w.chance(3) {
		n.preamble = "This is a multi-part message in MIME format.\r\n"
	}
	return n
}

// message returns a message with a header of its own in a message.
func (w *writer) message(header string, inner *node) *node {
	n := &node{inner: inner}
	n.part.Type = "message/rfc822"
	n.fields.add("Content-Type", "message/rfc822")
	var f fields
	f.WriteString(header)
	f.Write(inner.fields.Bytes())
	inner.fields = f
	return n
}

// render returns the entity as it is sent. top is that of the mail itself.
func (n *node) render(top bool) []byte {
	var b bytes.Buffer
	if top && n.fields.Len() > 0 {
		b.WriteString("MIME-Version: 1.0\r\n")
	}
	b.Write(n.fields.Bytes())
	b.WriteString("\r\n")
	switch {
	case n.multi:
		b.WriteString(n.preamble)
		for i, child := range n.children {
			if i > 0 || n.preamble != "" {
				b.WriteString("\r\n")
			}
			b.WriteString("--" + n.boundary + "\r\n")
			b.Write(child.render(false))
		}
		if !n.open {
			b.WriteString("\r\n--" + n.boundary + "--\r\n")
		}
	case n.inner != nil:
		inner := n.inner.render(true)
		n.part.Size, n.part.SHA256 = int64(len(inner)), digest(inner)
		b.Write(inner)
	default:
		b.Write(n.encoded())
	}
	return b.Bytes()
}

// encoded returns the content of a leaf in its transfer encoding, and notes its size.
func (n *node) encoded() []byte {
	if n.raw != nil {
		return n.raw
	}
	n.part.Size, n.part.SHA256 = int64(len(n.content)), digest(n.content)
	switch n.encoding {
	case "base64":
		return base64Lines(n.content)
	case "quoted-printable":
		var b bytes.Buffer
		q := quotedprintable.NewWriter(&b)
		_, _ = q.Write(n.content) // memory does not fail
		_ = q.Close()
		return b.Bytes()
	default:
		return n.content
	}
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func base64Lines(content []byte) []byte {
	const line = 57 // 76 characters
	out := make([]byte, 0, len(content)/line*78+80)
	for len(content) > 0 {
		n := min(line, len(content))
		out = base64.StdEncoding.AppendEncode(out, content[:n])
		out = append(out, "\r\n"...)
		content = content[n:]
	}
	return out
}

// parts appends the parts of the entity, which has been rendered. number is its own, empty
// for that of a message (RFC 9051 §6.4.5.1).
func (n *node) parts(number string, known []Part) []Part {
	if n.multi {
		for i, child := range n.children {
			known = child.parts(below(number, i+1), known)
		}
		return known
	}
	if number == "" {
		number = "1"
	}
	part := n.part
	part.Number = number
	known = append(known, part)
	if n.inner == nil {
		return known
	}
	if n.inner.multi {
		return n.inner.parts(number, known)
	}
	return n.inner.parts(below(number, 1), known)
}

func below(number string, i int) string {
	if number == "" {
		return strconv.Itoa(i)
	}
	return number + "." + strconv.Itoa(i)
}

package content

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"strconv"
	"strings"

	"sluice/index"
)

const (
	maxDepth = 32   // of multiparts and messages in each other
	maxParts = 1000 // of a message
	// maxPreamble is how much text before the first boundary is kept, in case there is no
	// boundary, in bytes.
	maxPreamble = 1 << 20
	// maxKept bounds the texts of a part, a little above what a row keeps, in bytes.
	maxKept = 4200
)

// walker reads the parts of a message, one after the other.
type walker struct {
	source  *source
	content *Content
	text    texts
	measure bool // sizes and hashes are wanted, so that everything is decoded
	// visit is asked for each part. It reports whether the walk can end.
	visit func(p *index.Part, decoded io.Reader) bool

	fields []byte    // memory of headers
	copied []byte    // memory for copying
	hash   hash.Hash // of leaves
}

func newWalker(r io.Reader) *walker {
	return &walker{source: &source{r: r}, content: &Content{}}
}

// walk reads the message.
func (w *walker) walk() {
	s := newStream(w.source)
	h := readHeader(s, maxMessageHeader, maxMessageField, nil)
	if !h.whole {
		w.content.defect(index.DefectHeader, "")
	}
	w.content.readEnvelope(h)
	w.entity(s, w.readMedia(h, media{ofMessage: true}), 1)
	s.drain()
}

// header reads the header of a part.
func (w *walker) header(s *stream) header {
	h := readHeader(s, maxPartHeader, maxPartField, w.fields)
	w.fields = h.block
	return h
}

// media is what the header of a part, or of a message, says about its body.
type media struct {
	number    string // of the part, or of the part whose message it is
	ofMessage bool
	digest    bool // it is in a multipart/digest

	part     index.Part // without a number
	boundary string
	encoding string
	multi    bool
	message  bool
}

// own returns the number of a body that is no multipart.
func (m *media) own() string {
	if !m.ofMessage {
		return m.number
	}
	return child(m.number, 1)
}

// child returns the number of a part of a multipart.
func child(parent string, n int) string {
	if parent == "" {
		return strconv.Itoa(n)
	}
	return parent + "." + strconv.Itoa(n)
}

// readMedia fills in m from a header.
func (w *walker) readMedia(h header, m media) media {
	m.part.Type = "text/plain"
	if m.digest {
		m.part.Type = "message/rfc822"
	}
	var params, disposition []param
	seen := map[string]bool{}
	for name, value := range h.fields() {
		if seen[name] {
			continue
		}
		seen[name] = true
		switch name {
		case "content-type":
			first, p, ok := parseParams(value)
			kind, sub, _ := strings.Cut(first, "/")
			if isToken(kind) && isToken(sub) {
				m.part.Type = keep(first)
			} else {
				ok = false
			}
			if params = p; !ok {
				w.content.defect(index.DefectContentType, m.number)
			}
		case "content-disposition":
			first, p, ok := parseParams(value)
			switch first {
			case "inline", "":
				m.part.Disposition = first
			default:
				m.part.Disposition = "attachment" // also any other (RFC 2183 §2.8)
			}
			if disposition = p; !ok || !isToken(first) {
				w.content.defect(index.DefectDisposition, m.number)
			}
		case "content-transfer-encoding":
			first, _, _ := parseParams(value)
			m.encoding = first
		}
	}
	w.names(&m, params, disposition)
	m.part.Charset = keep(strings.ToLower(word(params, "charset")))
	m.multi = strings.HasPrefix(m.part.Type, "multipart/")
	m.message = m.part.Type == "message/rfc822" || m.part.Type == "message/global"
	if m.multi {
		m.boundary = boundary(params)
	}
	return m
}

// names finds the name of the file.
func (w *walker) names(m *media, params, disposition []param) {
	name, ok := text(disposition, "filename")
	kind := index.DefectDisposition
	if name.Text == "" {
		name, ok = text(params, "name")
		kind = index.DefectContentType
	}
	if !ok {
		if isASCII(name.Raw) && name.Raw != "" && !strings.ContainsAny(name.Raw, "%?") {
			w.content.defect(kind, m.number)
		} else {
			w.content.defect(index.DefectCharset, m.number)
		}
	}
	m.part.Name = index.Text{Text: keep(name.Text), Raw: keep(name.Raw)}
}

// keep returns a text, cut where no row would keep it. What it was part of is not kept.
func keep(s string) string { return strings.Clone(cut(s, maxKept)) }

// entity reads a body up to its end.
func (w *walker) entity(s *stream, m media, depth int) {
	if m.multi && m.boundary != "" && len(m.boundary) <= maxBoundary && depth <= maxDepth {
		w.multipart(s, m, depth)
		return
	}
	if m.multi {
		kind := index.DefectBoundary
		if depth > maxDepth {
			kind = index.DefectDepth
		}
		w.content.defect(kind, m.number)
		m.encoding = ""
		w.leaf(s, m, plainText)
		return
	}
	if m.message && depth <= maxDepth {
		w.message(s, m, depth)
		return
	}
	if m.message {
		w.content.defect(index.DefectDepth, m.number)
	}
	w.leaf(s, m, textKind(m.part.Type))
}

// multipart reads a multipart (RFC 2046 §5.1).
func (w *walker) multipart(s *stream, m media, depth int) {
	if m.encoding != "" && m.encoding != "7bit" && m.encoding != "8bit" && m.encoding != "binary" {
		w.content.defect(index.DefectEncoding, m.number)
	}
	first, noHTML := len(w.text.pieces), w.text.noHTML
	alternative := m.part.Type == "multipart/alternative"
	level := s.push(m.boundary)
	preamble := readPreamble(s)
	if !s.at(level) {
		w.content.defect(index.DefectBoundary, m.number)
		s.pop(level)
		if len(preamble) <= maxPreamble {
			m.encoding = ""
			w.leaf(newStream(bytes.NewReader(preamble)), m, plainText)
		}
		return
	}
	for n := 1; s.at(level) && !s.last; n++ {
		s.pass()
		if !w.full() {
			part := media{number: child(m.number, n), digest: m.part.Type == "multipart/digest"}
			h := w.header(s)
			part = w.readMedia(h, part)
			if !h.whole && len(h.block) > 0 {
				w.content.defect(index.DefectHeader, part.number)
			}
			w.entity(s, part, depth+1)
		}
		s.drain()
		w.text.noHTML = noHTML || alternative && w.text.hasPlain(first)
	}
	w.text.noHTML = noHTML
	closed := s.at(level)
	s.pop(level)
	if closed {
		s.pass()
		s.drain()
	} else {
		w.content.defect(index.DefectBoundary, m.number)
	}
	if alternative {
		w.text.choose(first)
	}
}

// readPreamble reads what comes before the first boundary of a multipart, and returns it
// or more than maxPreamble bytes of it.
func readPreamble(s *stream) (preamble []byte) {
	for b := s.ahead(); len(b) > 0; b = s.ahead() {
		if len(preamble) <= maxPreamble {
			preamble = append(preamble, b...)
		}
		s.skip(len(b))
	}
	return preamble
}

// full reports whether there are as many parts as are kept, which is a defect where there
// is one more.
func (w *walker) full() bool {
	if len(w.content.Parts) < maxParts {
		return false
	}
	w.content.defect(index.DefectParts, "")
	return true
}

// add adds the part that m describes, without its size and its hash.
func (w *walker) add(m media) *index.Part {
	m.part.Number = m.own()
	w.content.Parts = append(w.content.Parts, m.part)
	return &w.content.Parts[len(w.content.Parts)-1]
}

// message reads a part that is a message, and what is in it.
func (w *walker) message(s *stream, m media, depth int) {
	if w.full() {
		return
	}
	w.add(m)
	at := len(w.content.Parts) - 1
	number := w.content.Parts[at].Number
	decoded, known := decoder(s, m.encoding)
	_, plain := decoded.(plainDecoder)
	if !plain || !known {
		w.content.defect(index.DefectEncoding, number) // RFC 2046 §5.2.1 allows none
	}
	if w.visited(&w.content.Parts[at], decoded) {
		return
	}
	limit := w.text.limit
	if m.part.Disposition == "attachment" {
		w.text.limit = 0
	}
	d := digest{hash: sha256.New()}
	from := io.Reader(decoded)
	if w.measure {
		from = io.TeeReader(decoded, &d)
	}
	inner := newStream(from)
	h := w.header(inner)
	if !h.whole {
		w.content.defect(index.DefectHeader, number)
	}
	if !plain {
		depth += maxDepth / 4 // decoding costs more than looking for boundaries
	}
	w.entity(inner, w.readMedia(h, media{number: number, ofMessage: true}), depth+1)
	inner.drain()
	w.text.limit = limit
	if w.measure {
		d.put(&w.content.Parts[at])
	}
}

// leaf reads a part without parts.
func (w *walker) leaf(s *stream, m media, kind int) {
	if w.full() {
		return
	}
	p := w.add(m)
	decoded, known := decoder(s, m.encoding)
	if w.visited(p, decoded) {
		return
	}
	charset := charsetName(p.Charset)
	if strings.HasPrefix(p.Type, "text/") && !knownCharset(charset) {
		w.content.defect(index.DefectCharset, p.Number)
		charset = ""
	}
	if p.Disposition == "attachment" {
		kind = noText
	}
	if !w.measure {
		if w.text.add(decoded, charset, kind); w.visit == nil && w.text.plain >= w.text.limit {
			w.source.done = true
		}
		return
	}
	if w.hash == nil {
		w.hash, w.copied = sha256.New(), make([]byte, 8<<10)
	}
	w.hash.Reset()
	d := digest{hash: w.hash}
	if !w.text.add(io.TeeReader(decoded, &d), charset, kind) {
		w.content.defect(index.DefectCharset, p.Number)
	}
	_, _ = io.CopyBuffer(&d, decoded, w.copied) // neither can fail
	d.put(p)
	if !known || decoded.broken() {
		w.content.defect(index.DefectEncoding, p.Number)
	}
}

// visited asks the visitor, and ends the walk if he has seen what he wanted.
func (w *walker) visited(p *index.Part, decoded io.Reader) bool {
	if w.visit == nil || !w.visit(p, decoded) {
		return false
	}
	w.source.done = true
	return true
}

// digest counts and hashes what is decoded.
type digest struct {
	hash hash.Hash
	size int64
}

// Write implements io.Writer.
func (d *digest) Write(b []byte) (int, error) {
	d.size += int64(len(b))
	return d.hash.Write(b)
}

func (d *digest) put(p *index.Part) {
	p.Size, p.SHA256 = d.size, hex.EncodeToString(d.hash.Sum(nil))
}

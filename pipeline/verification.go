package pipeline

import "bytes"

// Verification is the state of a message at its Verifier. It belongs to the loop.
type Verification struct {
	// State is the verifier's own: nil when no verdict is waited for, because it has come,
	// or because nobody wants it.
	State any
	Out   int  // pieces in flight
	Read  bool // the header was read, and forged fields in it are renamed

	header, text, end Piece // what stands in Message.Body, and the end
	headerTaken       bool
	textTaken         bool
	last              uint32 // the last octets that Scan has seen
	size              int64  // of the header, as far as it was seen
	renamed           int
	verdict           Verdict
}

// crlfcr are the octets before the LF that ends a header.
const crlfcr = '\r'<<16 | '\n'<<8 | '\r'

// Verify begins the verification of a message. onResult is called on its loop with each
// piece that was read.
func (m *Message) Verify(state any, onResult func(*Message, *Piece)) {
	v := m.Verification
	if v == nil {
		v = &Verification{}
		m.Verification = v
		v.reset()
		m.bind(&v.header, PieceHeader, onResult)
		m.bind(&v.text, PieceText, onResult)
		m.bind(&v.end, PieceEnd, onResult)
	}
	v.State = state
}

func (m *Message) bind(p *Piece, kind PieceKind, onResult func(*Message, *Piece)) {
	p.Kind, p.loop = kind, m.Loop
	p.Run = func() { onResult(m, p) }
}

// Verified reports whether the verdict of a verifier is waited for.
func (m *Message) Verified() bool { return m.Verification != nil && m.Verification.State != nil }

// HeaderUnread reports whether the verifier has not read the header yet, so that the store
// may get nothing of the message.
func (m *Message) HeaderUnread() bool { return m.Verified() && !m.Verification.Read }

// reads reports whether the verifier has pieces of the message.
func (v *Verification) reads() bool { return v != nil && v.Out > 0 }

func (v *Verification) reset() {
	if v == nil {
		return
	}
	v.State, v.Read, v.headerTaken, v.textTaken, v.verdict = nil, false, false, false, Verdict{}
	for _, p := range [...]*Piece{&v.header, &v.text, &v.end} {
		p.TooLong, p.Forged, p.Verdict, p.Err = false, nil, Verdict{}, nil
	}
	v.last, v.size, v.renamed = crlfcr>>8, 0, 0 // as behind an end of line
}

// Scan looks for the end of the header in the next text of a message. It reports whether
// the header is complete now, or too long to be read.
func (v *Verification) Scan(text []byte) bool {
	if v == nil || v.State == nil || v.headerTaken {
		return false
	}
	text = text[:min(int64(len(text)), maxHeader-v.size)]
	for from := 0; ; {
		n := bytes.IndexByte(text[from:], '\n')
		if n < 0 {
			break
		}
		from += n + 1
		if v.before(text[:from-1]) == crlfcr {
			v.size += int64(from)
			return true
		}
	}
	v.last = v.before(text)
	v.size += int64(len(text))
	if v.size == maxHeader {
		v.header.TooLong = true
		return true
	}
	return false
}

// before returns the last three octets of what was seen and text.
func (v *Verification) before(text []byte) uint32 {
	last := v.last
	for _, c := range text[max(0, len(text)-3):] {
		last = last<<8 | uint32(c)
	}
	return last & 0xffffff
}

// TakeHeader returns the header of a message as a piece, nil if it was taken before. One
// that has no end yet ends with the body; follows says that there is more text behind that.
func (m *Message) TakeHeader(follows bool) *Piece {
	v := m.Verification
	if v.headerTaken {
		return nil
	}
	v.headerTaken = true
	v.header.TooLong = v.header.TooLong || follows
	return v.fill(&v.header, &m.Body, 0, v.size)
}

// TakeText returns the text in the first part of a message, nil if there is none or it was
// taken before.
func (m *Message) TakeText() *Piece {
	v := m.Verification
	if v.textTaken || v.size == m.Body.size {
		return nil
	}
	v.textTaken = true
	return v.fill(&v.text, &m.Body, v.size, m.Body.size)
}

// TakePart returns the text of another part. onResult is as for Verify.
func (m *Message) TakePart(part *Part, onResult func(*Message, *Piece)) *Piece {
	p := &part.Piece
	m.bind(p, PieceText, onResult)
	p.Part = part
	return m.Verification.fill(p, &part.Body, 0, part.Body.size)
}

// TakeEnd returns the end of a message.
func (m *Message) TakeEnd() *Piece { return m.Verification.fill(&m.Verification.end, &m.Body, 0, 0) }

// fill prepares a piece for the verifier.
func (v *Verification) fill(p *Piece, b *Body, from, to int64) *Piece {
	v.Out++
	p.State, p.Chunks = v.State, b.between(p.Chunks[:0], from, to)
	return p
}

// Returned takes a piece that has come back from the verifier. Its results stay.
func (v *Verification) Returned(p *Piece) {
	v.Out--
	clear(p.Chunks)
	p.Chunks, p.State = p.Chunks[:0], nil
}

// HeaderRead takes the result of a header: it renames what is forged.
func (m *Message) HeaderRead(p *Piece) {
	v := m.Verification
	v.Read, v.renamed = true, m.Body.rename(p.Forged, v.size)
}

// Judge sets the verdict of a message.
func (m *Message) Judge(verdict Verdict) {
	v := m.Verification
	v.State, v.verdict, m.Verdicts = nil, verdict, verdict.Verdicts
	if m.Verdicts != nil {
		m.Verdicts.Forged = v.renamed
	}
	if m.Result.Err == nil {
		m.Result.Err = verdict.Refusal
	}
}

// appendField appends the field of the verdict, if there is one.
func (v *Verification) appendField(dst []byte) []byte {
	if v == nil {
		return dst
	}
	return append(dst, v.verdict.Field...)
}

// appendName appends the confirmed name of the client and a space, if it has one.
func (v *Verification) appendName(dst []byte) []byte {
	if v == nil || v.verdict.Name == "" {
		return dst
	}
	return append(append(dst, v.verdict.Name...), ' ')
}

// between appends to dst the octets from one place to another.
func (b *Body) between(dst [][]byte, from, to int64) [][]byte {
	for _, slab := range b.slabs {
		n := int64(len(slab))
		if from < n && to > 0 {
			dst = append(dst, slab[max(0, from):min(n, to)])
		}
		from, to = from-n, to-n
	}
	return dst
}

// The name of the field that only we may write in our name, and what one of a stranger is
// called instead. It is as long, so that no octet moves.
var (
	forgedName  = []byte("Authentication-Results")
	renamedName = []byte("X-Spoofed-Auth-Results")
)

// rename renames forged fields in the first octets of a body, up to end, and returns how
// many there were. A place where no such name stands is left alone.
func (b *Body) rename(places []int, end int64) (renamed int) {
	var name [len("Authentication-Results")]byte
	for _, at := range places {
		from, to := int64(at), int64(at+len(name))
		if from < 0 || to > end {
			continue
		}
		var buf [2][]byte
		chunks, n := b.between(buf[:0], from, to), 0
		for _, chunk := range chunks {
			n += copy(name[n:], chunk)
		}
		if !bytes.EqualFold(name[:n], forgedName) {
			continue
		}
		rest := renamedName
		for _, chunk := range chunks {
			rest = rest[copy(chunk, rest):]
		}
		renamed++
	}
	return renamed
}

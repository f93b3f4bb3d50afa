package dkim

import (
	"bytes"
	"crypto/sha256"
	"hash"

	"sluice/gateway/verify/fields"
)

// header has the fields of a message for hashing. A canonical form is made once for all
// signatures.
type header struct {
	all   []fields.Field
	named []named // those that some signature names
	names map[string]*instances
	round int    // counts signatures
	old   int    // fields that oldForm finds
	lower []byte // room for a name in lower case
}

// named is a field that some signature names.
type named struct {
	field   int
	before  int    // the one of the same name above, or -1
	relaxed []byte // its canonical form; nil until a signature needs it
}

// instances are the fields of one name.
type instances struct {
	last  int // the lowest
	next  int // the one that this round takes next, or -1
	round int // of next
}

// newHeader returns the fields of a header that some signatures name.
func newHeader(list []fields.Field, signatures []*signature) *header {
	h := &header{
		all: list, named: make([]named, 0, min(len(list), 32)),
		names: make(map[string]*instances, 32),
	}
	var lengths [4]uint64 // those of the names, as bits
	for _, s := range signatures {
		items(s.names, func(name []byte) bool {
			h.lower = appendLower(h.lower[:0], name)
			if h.names[string(h.lower)] == nil {
				h.names[string(h.lower)] = &instances{last: -1}
			}
			lengths[len(name)/64%4] |= 1 << (len(name) % 64)
			return true
		})
	}
	for i, f := range list {
		h.old += oldForm(f)
		name := f.Name()
		if lengths[len(name)/64%4]&(1<<(len(name)%64)) == 0 {
			continue
		}
		h.lower = appendLower(h.lower[:0], name)
		if known := h.names[string(h.lower)]; known != nil {
			h.named = append(h.named, named{field: i, before: known.last})
			known.last = len(h.named) - 1
		}
	}
	return h
}

// oldForm returns 1 for a field with white space before its colon (RFC 5322 §4.5), else 0.
func oldForm(f fields.Field) int {
	if f.Colon > f.NameEnd {
		return 1
	}
	return 0
}

// digest returns the hash that a signature signs (RFC 6376 §3.7): the fields it names,
// each name from the bottom up (§5.4.2), then its own field without the value of b=. It
// notes whether a field of the old form is left out.
func (h *header) digest(s *signature) [sha256.Size]byte {
	h.round++
	old := oldForm(h.all[s.field])
	sink := signedText{hash: sha256.New(), evidence: s.result.Evidence}
	items(s.names, func(name []byte) bool {
		h.lower = appendLower(h.lower[:0], name)
		if i := h.take(h.lower, s.field); i >= 0 {
			h.hash(sink, i, s.header)
			old += oldForm(h.all[h.named[i].field])
		} else if sink.evidence != nil {
			sink.evidence.Missing = append(sink.evidence.Missing, string(h.lower))
		}
		return true
	})
	s.open = old < h.old
	own := h.all[s.field]
	from, to := own.Colon+1+s.cutFrom, own.Colon+1+s.cutTo
	bare := append(append(make([]byte, 0, len(own.Raw)), own.Raw[:from]...), own.Raw[to:]...)
	if s.header == relaxed {
		bare = appendRelaxed(nil, fields.Field{Raw: bare, Colon: own.Colon, NameEnd: own.NameEnd})
	}
	sink.write(bytes.TrimSuffix(bare, []byte("\r\n")))
	return [sha256.Size]byte(sink.hash.Sum(nil))
}

// signedText takes the canonical fields that a signature signs.
type signedText struct {
	hash     hash.Hash
	evidence *Evidence // nil where nobody wants it
}

func (t signedText) write(text []byte) {
	t.hash.Write(text)
	if t.evidence != nil {
		t.evidence.Header = append(t.evidence.Header, text...)
	}
}

// take returns the next field of a name for this round, but not the one that is verified,
// or -1 when there is none.
func (h *header) take(name []byte, own int) int {
	known := h.names[string(name)]
	if known == nil {
		return -1
	}
	if known.round != h.round {
		known.round, known.next = h.round, known.last
	}
	i := known.next
	if i >= 0 && h.named[i].field == own {
		i = h.named[i].before
	}
	if known.next = -1; i >= 0 {
		known.next = h.named[i].before
	}
	return i
}

func (h *header) hash(to signedText, i int, c canon) {
	n := &h.named[i]
	f := h.all[n.field]
	switch {
	case c == simple:
		to.write(f.Raw)
		if !bytes.HasSuffix(f.Raw, []byte("\r\n")) {
			to.write([]byte("\r\n"))
		}
		return
	case n.relaxed == nil:
		n.relaxed = appendRelaxed(make([]byte, 0, len(f.Raw)+2), f)
	}
	to.write(n.relaxed)
}

// appendRelaxed appends a field in relaxed form (RFC 6376 §3.4.2).
func appendRelaxed(dst []byte, f fields.Field) []byte {
	dst = append(appendLower(dst, f.Name()), ':')
	value := f.Value()
	begun, space := false, false
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == ' ' || c == '\t':
			space = true
			continue
		case c == '\r' && i+1 < len(value) && value[i+1] == '\n':
			i++
			continue
		}
		if space && begun {
			dst = append(dst, ' ')
		}
		begun, space = true, false
		dst = append(dst, c)
	}
	return append(dst, '\r', '\n')
}

func appendLower(dst, text []byte) []byte {
	for _, c := range text {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

package ldap

import "encoding/binary"

// writer writes a message from its end to its beginning, so that each length is known when
// it is written and a password is copied once.
type writer struct {
	buf []byte
	at  int
}

// newWriter returns a writer for a message with up to size bytes of text.
func newWriter(size int) *writer {
	const structure = 256 // tags, lengths, numbers and constants of any request
	w := &writer{buf: make([]byte, size+structure)}
	w.at = len(w.buf)
	return w
}

func (w *writer) message() []byte { return w.buf[w.at:] }

func (w *writer) raw(content ...byte) {
	w.at -= len(content)
	copy(w.buf[w.at:], content)
}

// header closes the element whose content is all that was written since w.at was end.
func (w *writer) header(tag byte, end int) {
	size := end - w.at
	if size < 0x80 {
		w.raw(tag, byte(size))
		return
	}
	length := binary.BigEndian.AppendUint32(nil, uint32(size))
	for length[0] == 0 {
		length = length[1:]
	}
	w.raw(length...)
	w.raw(tag, 0x80|byte(len(length)))
}

func (w *writer) bytes(tag byte, content []byte) {
	end := w.at
	w.raw(content...)
	w.header(tag, end)
}

func (w *writer) text(tag byte, content string) {
	end := w.at
	w.at -= len(content)
	copy(w.buf[w.at:], content)
	w.header(tag, end)
}

func (w *writer) number(tag byte, n int) {
	shortest := binary.BigEndian.AppendUint32(nil, uint32(n)) // X.690 §8.3.2
	for len(shortest) > 1 && shortest[0] == 0 && shortest[1] < 0x80 {
		shortest = shortest[1:]
	}
	w.bytes(tag, shortest)
}

// envelope closes the message whose operation is all that was written since w.at was opEnd,
// and its controls what was written before.
func (w *writer) envelope(id int, op byte, opEnd int) []byte {
	w.header(op, opEnd)
	w.number(tagInteger, id)
	w.header(tagSequence, len(w.buf))
	return w.message()
}

// bindRequest returns a simple bind (RFC 4511 §4.2), which also asks for what a password
// policy says. It holds the password: the caller wipes it.
func bindRequest(id int, dn string, password []byte) []byte {
	w := newWriter(len(dn) + len(password))
	w.text(tagOctetString, policyOID)
	w.header(tagSequence, len(w.buf))
	w.header(tagControls, len(w.buf))
	end := w.at
	w.bytes(tagSimple, password)
	w.text(tagOctetString, dn)
	w.number(tagInteger, 3) // the version
	return w.envelope(id, opBindRequest, end)
}

// searchRequest is a search below base (RFC 4511 §4.5.1).
type searchRequest struct {
	base      string
	filter    []byte // in BER
	attribute string
	seconds   int // for which the server may search
}

// sizeLimit is how many entries a search asks for: two are too many.
const sizeLimit = 2

func (s *searchRequest) encode(id int) []byte {
	const wholeSubtree, neverDerefAliases = 2, 0
	w := newWriter(len(s.base) + len(s.filter) + len(s.attribute))
	w.text(tagOctetString, s.attribute)
	w.header(tagSequence, len(w.buf))
	w.raw(s.filter...)
	w.raw(tagBoolean, 1, 0) // values, not types alone
	w.number(tagInteger, s.seconds)
	w.number(tagInteger, sizeLimit)
	w.number(tagEnumerated, neverDerefAliases)
	w.number(tagEnumerated, wholeSubtree)
	w.text(tagOctetString, s.base)
	return w.envelope(id, opSearchRequest, len(w.buf))
}

// startTLSRequest returns the request for TLS (RFC 4511 §4.14).
func startTLSRequest(id int) []byte {
	w := newWriter(0)
	w.text(tagRequestName, "1.3.6.1.4.1.1466.20037")
	return w.envelope(id, opExtendedRequest, len(w.buf))
}

func unbindRequest(id int) []byte {
	w := newWriter(0)
	return w.envelope(id, opUnbindRequest, len(w.buf))
}

package ldap

import (
	"errors"
	"fmt"
	"io"
)

// maxMessage is the most bytes of one message of a server. An entry with the one attribute
// that is asked for takes some hundred.
const maxMessage = 64 << 10

// errMalformed is the error for what is no message of LDAP, or not the one that is due.
var errMalformed = errors.New("malformed answer")

// Tags (RFC 4511, Appendix B; X.690).
const (
	tagBoolean     = 0x01
	tagInteger     = 0x02
	tagOctetString = 0x04
	tagEnumerated  = 0x0a
	tagSequence    = 0x30
	tagSet         = 0x31

	opBindRequest      = 0x60
	opBindResponse     = 0x61
	opUnbindRequest    = 0x42
	opSearchRequest    = 0x63
	opSearchEntry      = 0x64
	opSearchDone       = 0x65
	opSearchReference  = 0x73
	opExtendedRequest  = 0x77
	opExtendedResponse = 0x78

	tagSimple      = 0x80 // AuthenticationChoice
	tagRequestName = 0x80 // ExtendedRequest
	tagControls    = 0xa0
)

// message is one message of a server. Its slices share the bytes that were read.
type message struct {
	id       int
	op       byte
	body     []byte
	controls []byte
}

// readMessage reads one message and not a byte beyond it: what follows an answer to
// StartTLS belongs to TLS.
func readMessage(r io.Reader) (message, error) {
	var header [6]byte
	if _, err := io.ReadFull(r, header[:2]); err != nil {
		return message{}, err
	}
	if header[0] != tagSequence {
		return message{}, fmt.Errorf("%w: it begins with %#x", errMalformed, header[0])
	}
	size := int(header[1])
	if size >= 0x80 { // that many bytes of length follow
		n := size - 0x80
		if n == 0 || n > 4 {
			return message{}, fmt.Errorf("%w: %d bytes of length", errMalformed, n)
		}
		if _, err := io.ReadFull(r, header[2:2+n]); err != nil {
			return message{}, err
		}
		size = 0
		for _, b := range header[2 : 2+n] {
			size = size<<8 | int(b)
		}
	}
	if size > maxMessage || size < 0 {
		return message{}, fmt.Errorf("%w: a message of %d bytes", errMalformed, size)
	}
	content := make([]byte, size)
	if _, err := io.ReadFull(r, content); err != nil {
		return message{}, err
	}
	return parseMessage(content)
}

func parseMessage(content []byte) (m message, err error) {
	r := reader{rest: content}
	m.id = r.number(tagInteger)
	m.op, m.body = r.next()
	if len(r.rest) > 0 {
		m.controls = r.take(tagControls)
	}
	if r.failed || len(r.rest) > 0 {
		return message{}, fmt.Errorf("%w: no message", errMalformed)
	}
	return m, nil
}

// result is an LDAPResult (RFC 4511 §4.1.9).
type result struct {
	code       int
	diagnostic string
	policy     int // an error of the password policy, noPolicy without
}

// result returns the result that a message of the operation op carries.
func (m *message) result(op byte) (result, error) {
	if m.op != op {
		return result{}, fmt.Errorf("%w: operation %#x in place of %#x", errMalformed, m.op, op)
	}
	r := reader{rest: m.body}
	got := result{code: r.number(tagEnumerated)}
	r.take(tagOctetString) // matchedDN
	got.diagnostic = string(r.take(tagOctetString))
	if r.failed {
		return result{}, fmt.Errorf("%w: no result", errMalformed)
	}
	got.policy = policyError(m.controls)
	return got, nil
}

// entry is what a search found.
type entry struct {
	dn     string
	values []string // of the attribute that was asked for
}

// entry returns the entry that a message carries, with the values of one attribute. Of
// others nothing was asked for.
func (m *message) entry() (entry, error) {
	r := reader{rest: m.body}
	found := entry{dn: string(r.take(tagOctetString))}
	attributes := reader{rest: r.take(tagSequence)}
	for len(attributes.rest) > 0 && !attributes.failed {
		attribute := reader{rest: attributes.take(tagSequence)}
		attribute.take(tagOctetString) // its name
		values := reader{rest: attribute.take(tagSet)}
		for len(values.rest) > 0 && !values.failed {
			found.values = append(found.values, string(values.take(tagOctetString)))
		}
		attributes.failed = attributes.failed || attribute.failed || values.failed
	}
	if r.failed || attributes.failed {
		return entry{}, fmt.Errorf("%w: no entry", errMalformed)
	}
	if found.dn == "" { // a bind with an empty name succeeds for everybody
		return entry{}, fmt.Errorf("%w: an entry without a name", errMalformed)
	}
	return found, nil
}

// policyOID is the control of a password policy (draft-behera-ldap-password-policy-11).
const policyOID = "1.3.6.1.4.1.42.2.27.8.5.1"

// noPolicy is the absence of an error of a password policy.
const noPolicy = -1

// policyError returns the error in the control of a password policy, if there is one. Any
// other control is left alone.
func policyError(controls []byte) int {
	r := reader{rest: controls}
	for len(r.rest) > 0 && !r.failed {
		control := reader{rest: r.take(tagSequence)}
		if string(control.take(tagOctetString)) != policyOID {
			continue
		}
		tag, value := control.next()
		if tag == tagBoolean { // criticality
			value = control.take(tagOctetString)
		}
		outer := reader{rest: value}
		response := reader{rest: outer.take(tagSequence)}
		for len(response.rest) > 0 && !response.failed {
			const errorTag = 0x81
			if tag, value := response.next(); tag == errorTag && len(value) == 1 {
				return int(value[0])
			}
		}
	}
	return noPolicy
}

// reader takes elements of BER with low tags and definite lengths, which is all that LDAP
// has (RFC 4511 §5.1). It copies nothing and does not recurse. After a failure all that it
// returns is empty.
type reader struct {
	rest   []byte
	failed bool
}

// next takes the next element.
func (r *reader) next() (tag byte, content []byte) {
	fail := func() (byte, []byte) {
		r.rest, r.failed = nil, true
		return 0, nil
	}
	const highTag = 0x1f
	if len(r.rest) < 2 || r.rest[0]&highTag == highTag {
		return fail()
	}
	tag, size, at := r.rest[0], int(r.rest[1]), 2
	if size >= 0x80 { // Active Directory always takes four bytes
		n := size - 0x80
		if n == 0 || n > 4 || len(r.rest) < at+n {
			return fail()
		}
		size = 0
		for _, b := range r.rest[at : at+n] {
			size = size<<8 | int(b)
		}
		at += n
	}
	if size < 0 || size > len(r.rest)-at {
		return fail()
	}
	content, r.rest = r.rest[at:at+size], r.rest[at+size:]
	return tag, content
}

// take takes the next element, which has to have the tag.
func (r *reader) take(tag byte) []byte {
	got, content := r.next()
	if got != tag {
		r.rest, r.failed = nil, true
		return nil
	}
	return content
}

// number takes an integer that is not negative and has at most four bytes.
func (r *reader) number(tag byte) (n int) {
	content := r.take(tag)
	if len(content) == 0 || len(content) > 4 || content[0] >= 0x80 {
		r.rest, r.failed = nil, true
		return 0
	}
	for _, b := range content {
		n = n<<8 | int(b)
	}
	return n
}

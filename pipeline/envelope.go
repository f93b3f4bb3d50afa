package pipeline

import (
	"net/netip"

	"sluice/codec"
)

// Client is the SMTP client that sent a message.
type Client struct {
	Address  netip.AddrPort
	Helo     string // the argument of HELO or EHLO
	Protocol string // SMTP or ESMTP (RFC 3848 has the names that TLS and AUTH add)
	Proxy    *Proxy // who named the client, nil if nobody did
	TLS      *TLS   // of the session, nil for plain text
	Role     Role   // of the listener
	Auth     *Auth  // who the client has proven to be, nil for nobody
}

// Role is what a listener is for.
type Role string

// The roles.
const (
	RoleMX         Role = ""           // mail of anybody for our recipients
	RoleSubmission Role = "submission" // mail of our users for anybody (RFC 6409)
)

// Auth is the outcome of AUTH in a session.
type Auth struct {
	Mechanism string // of SASL
	Identity  string // who the client is
	Backend   string // who says so, as the configuration names it
	Issuer    string // who has vouched for that, empty if it is the backend
}

// TLS is what was agreed in the TLS handshake of a session.
type TLS struct {
	Version     string // TLSv1.2 or TLSv1.3
	Cipher      string // as the IANA names it
	Group       string // of the key exchange, empty for RSA's
	Resumed     bool
	SNI         string             // the name that the client asked for
	Certificate *ClientCertificate // nil if the client sent none
}

// ClientCertificate is the certificate that a client has shown.
type ClientCertificate struct {
	Subject  string
	SHA256   string // of the certificate, in hexadecimal
	Verified bool   // an authority that is configured has signed it
}

// Proxy is what a load balancer said of a client in a PROXY header, or a proxy by XCLIENT.
type Proxy struct {
	Address   netip.Addr // its own
	Name      string     // host name of the client (XCLIENT)
	Authority string
	UniqueID  string          // in hexadecimal
	TLS       *codec.ProxyTLS // nil if the client spoke no TLS with the balancer
}

// Envelope holds the arguments of MAIL and RCPT (RFC 5321 §2.3.1). Its addresses stand in
// one buffer that is kept from message to message, so that adding one allocates nothing
// on the steady path.
type Envelope struct {
	Body         codec.BodyType // BODY= of MAIL (RFC 6152)
	SizeDeclared int64          // SIZE= of MAIL in bytes (RFC 1870), -1 when not given
	RequireTLS   bool           // REQUIRETLS of MAIL (RFC 8689)

	text []byte   // the reverse path, then each recipient, end to end
	ends []uint32 // ends[0]: end of the reverse path; ends[i]: end of recipient i-1
	// eventSize is the number of bytes of all addresses in the event, with those around
	// each recipient's.
	eventSize int64
}

// keptText bounds the buffer that a message keeps for the next one: the rare
// envelope of a thousand recipients must not stay in every pooled message.
const keptText = 4 << 10

// Text returns the size of all addresses in bytes.
func (e *Envelope) Text() int { return len(e.text) }

// EventSize returns the number of bytes that all addresses take in the event.
func (e *Envelope) EventSize() int64 { return e.eventSize }

// Reset empties the envelope and keeps buffers of common size.
func (e *Envelope) Reset() {
	e.Body, e.SizeDeclared, e.RequireTLS = codec.BodyUnspecified, -1, false
	if cap(e.text) > keptText {
		e.text, e.ends = nil, nil
	}
	e.text, e.ends, e.eventSize = e.text[:0], e.ends[:0], 0
}

// SetReversePath begins the envelope with the address of MAIL FROM, without
// brackets; empty for the null reverse path.
func (e *Envelope) SetReversePath(address []byte) {
	e.text = append(e.text[:0], address...)
	e.ends = append(e.ends[:0], uint32(len(e.text)))
	e.eventSize = textSize(address)
}

// AddRecipient adds the address of a RCPT TO, without brackets.
func (e *Envelope) AddRecipient(address []byte) {
	e.text = append(e.text, address...)
	e.eventSize += RecipientBound(address)
	e.ends = append(e.ends, uint32(len(e.text)))
}

// ReversePath returns the address of MAIL FROM, empty for the null reverse path.
func (e *Envelope) ReversePath() []byte {
	if len(e.ends) == 0 {
		return nil
	}
	return e.text[:e.ends[0]]
}

// Recipients returns the number of recipients accepted.
func (e *Envelope) Recipients() int { return max(len(e.ends)-1, 0) }

// Recipient returns the address of the i-th recipient, from 0.
func (e *Envelope) Recipient(i int) []byte { return e.text[e.ends[i]:e.ends[i+1]] }

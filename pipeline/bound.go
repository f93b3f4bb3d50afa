package pipeline

import (
	"math"
	"net/netip"
	"time"
	"unicode/utf8"

	"sluice/codec"
)

const (
	// VerdictReserve is the number of bytes kept free for Verdicts, which are known only
	// after the recipients and the text. Eight signatures and their like take 2 KiB; only
	// names of nearly the greatest length do not fit.
	VerdictReserve = 4 << 10
	// MessageIDReserve is the most bytes that a Message-ID may take, which is not known
	// at RCPT: the longest line there may be (RFC 5322 §2.1.1).
	MessageIDReserve = maxField

	// maxAddress is the longest text of a client's address: IPv6 in full, and a zone
	// with the longest name of an interface (IFNAMSIZ).
	maxAddress = 39 + 1 + 15
	// keySize is the size of the record's key, the id.
	keySize = 36
)

// recipientFrame is the number of bytes around a recipient's address in the event.
const recipientFrame = int64(len(`{"address":},`))

// eventFrame is the size of an event of which every text that a client or an
// operator chooses is empty, and every number as long as it can be.
var eventFrame = frameSize()

func frameSize() int64 {
	m := &Message{ReceivedAt: time.UnixMilli(0)}
	m.Envelope.Body, m.Envelope.SizeDeclared, m.Envelope.RequireTLS = codec.Body8BitMIME, math.MaxInt64, true
	m.Envelope.SetReversePath(nil)
	m.Client.Address = netip.AddrPortFrom(netip.Addr{}, math.MaxUint16)
	m.Report.LongestLine = math.MaxInt
	b := Blob{
		Store: "discard", Key: m.Key(), Container: ContainerTar,
		Offset: math.MaxInt64, Length: math.MaxInt64, CRC32C: math.MaxUint32,
	}
	size := keySize + maxAddress + len(AppendEventOf(nil, m, &b, &Digest{}))
	size += len("9223372036854775807") // blob.added, for which message.size was 0
	for _, h := range AppendEventHeaders(nil, m) {
		size += len(h.Key) + len(h.Value)
	}
	return int64(size)
}

// EventBound returns the most bytes that the message's event may have, from what is known
// now: the record's key, its value and its headers. It does not count the name of the
// bucket, which Committer.EventLimit does. The bound grows with each recipient and with
// the Message-ID once that was read. It shrinks once, when the message goes to the store:
// then its verdicts are known.
func (m *Message) EventBound() int64 {
	return eventFrame + m.verdictBound() + int64(len(m.Gateway)) + // ce_source has the name as it is
		textSize(m.Gateway) + m.Client.bound() +
		m.Envelope.eventSize + textSize(m.Summary.MessageID)
}

func (m *Message) verdictBound() int64 {
	switch {
	case m.Stage < StageStoring:
		return VerdictReserve
	case m.Verdicts == nil:
		return 0
	}
	return m.Verdicts.size()
}

// proxyFrame is the size of client.proxy without the texts in it.
var proxyFrame = int64(maxAddress + len(appendProxy(nil, &Proxy{TLS: &codec.ProxyTLS{}})))

// tlsFrame is the size of client.tls without the texts in it, beyond that of null.
var tlsFrame = int64(len(appendTLS(nil, &TLS{Certificate: &ClientCertificate{}})))

// authFrame is the size of client.auth without the texts in it, beyond that of null, and of
// client.role.
var authFrame = int64(len(appendAuth(nil, &Auth{})) + len(`,"role":""`))

// bound returns the most bytes that the client's texts take in the event.
func (c *Client) bound() int64 {
	size := textSize(c.Helo) + textSize(c.Protocol)
	if p := c.Proxy; p != nil {
		size += proxyFrame + textSize(p.Name) + textSize(p.Authority) + int64(len(p.UniqueID))
		if t := p.TLS; t != nil {
			size += textSize(t.Version) + textSize(t.Cipher) + textSize(t.CommonName)
		}
	}
	if t := c.TLS; t != nil {
		size += tlsFrame + textSize(t.Version) + textSize(t.Cipher) + textSize(t.Group) + textSize(t.SNI)
		if cert := t.Certificate; cert != nil {
			size += textSize(cert.Subject) + int64(len(cert.SHA256))
		}
	}
	if a := c.Auth; a != nil {
		size += authFrame + textSize(string(c.Role)) +
			textSize(a.Mechanism) + textSize(a.Identity) + textSize(a.Backend) + textSize(a.Issuer)
	}
	return size
}

// RecipientBound returns the number of bytes by which EventBound grows with a recipient.
func RecipientBound(address []byte) int64 { return recipientFrame + 2 + textSize(address) }

// textSize returns the number of bytes that appendString writes between the quotes.
func textSize[T string | []byte](s T) int64 {
	size := int64(0)
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			size += 2
		case c < 0x20 || c == 0x7f:
			size += int64(len(`\u0000`))
		case c < utf8.RuneSelf:
			size++
		default:
			var octets [utf8.UTFMax]byte // a conversion of s would allocate
			n := 0
			for n < len(octets) && i+n < len(s) {
				octets[n] = s[i+n]
				n++
			}
			r, length := utf8.DecodeRune(octets[:n])
			size += int64(utf8.RuneLen(r))
			i += length
			continue
		}
		i++
	}
	return size
}

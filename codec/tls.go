package codec

import "encoding/binary"

// A record of TLS begins with its type, the version of the protocol and the length of
// what follows (RFC 8446 §5.1).
const (
	tlsHeader = 5
	// tlsMaxFragment is the longest fragment of TLS 1.2 (RFC 5246 §6.2.3). That of TLS 1.3
	// is shorter; only who knows the version can say so.
	tlsMaxFragment = 1<<14 + 2048

	tlsFirstType = 0x14 // change_cipher_spec, before alert and handshake
	tlsHandshake = 0x16
	tlsLastType  = 0x17 // application_data; heartbeat follows, and nobody needs it
	tlsMajor     = 0x03 // of every version
)

// TLSRecord returns the length n in octets of the first TLS record in in, with its header.
// n is 0 while the record is not whole. ok is false when in does not begin with a record.
func TLSRecord(in []byte) (n int, ok bool) {
	switch {
	case len(in) > 0 && (in[0] < tlsFirstType || in[0] > tlsLastType),
		len(in) > 1 && in[1] != tlsMajor:
		return 0, false
	case len(in) < tlsHeader:
		return 0, true
	}
	n = int(binary.BigEndian.Uint16(in[3:]))
	switch {
	case n > tlsMaxFragment:
		return 0, false
	case tlsHeader+n > len(in):
		return 0, true
	}
	return tlsHeader + n, true
}

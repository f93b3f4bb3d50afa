package codec

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"net/netip"
	"strings"
)

// Bytes of a header of version 2 (§2.2).
const (
	proxyV2Fixed = 16 // signature, version and command, family, length

	proxyLocal   = 0x20
	proxyProxied = 0x21

	proxyUnspecified = 0x00
	proxyTCP4        = 0x11
	proxyTCP6        = 0x21
	proxyUnix        = 0x31
)

// Types of the values behind the addresses (§2.2.1 to §2.2.8).
const (
	proxyAuthority = 0x02
	proxyCRC32C    = 0x03
	proxyUniqueID  = 0x05
	proxySSL       = 0x20

	proxySSLVersion = 0x21
	proxySSLCN      = 0x22
	proxySSLCipher  = 0x23
)

// Bits of the client field of PP2_TYPE_SSL (§2.2.6).
const (
	proxyClientSSL      = 0x01
	proxyClientCertConn = 0x02
	proxyClientCertSess = 0x04
)

// maxUniqueID is the longest PP2_TYPE_UNIQUE_ID in bytes (§2.2.5).
const maxUniqueID = 128

// proxyAddressLength returns the bytes of the addresses of a family. known is false for
// a family that a stream of SMTP cannot have.
func proxyAddressLength(family byte) (length int, known bool) {
	switch family {
	case proxyUnspecified:
		return 0, true
	case proxyTCP4:
		return 12, true
	case proxyTCP6:
		return 36, true
	case proxyUnix:
		return 216, true
	}
	return 0, false
}

func parseProxyV2(in []byte) (h ProxyHeader, n int, fault ProxyFault) {
	if len(in) < proxyV2Fixed {
		return h, 0, ProxyOK
	}
	command, family := in[12], in[13]
	length := int(binary.BigEndian.Uint16(in[14:]))
	addresses, known := proxyAddressLength(family)
	switch n = proxyV2Fixed + length; {
	case command != proxyLocal && command != proxyProxied:
		return h, 0, ProxyMalformed
	case n > MaxProxyHeader:
		return h, 0, ProxyTooLong
	case command == proxyProxied && (!known || length < addresses):
		return h, 0, ProxyMalformed
	case len(in) < n:
		return h, 0, ProxyOK
	case command == proxyLocal: // family, addresses and values have to be ignored
		return h, n, ProxyOK
	}
	block := in[proxyV2Fixed:n]
	switch family {
	case proxyTCP4:
		h.Source = addrPortOf(block[:4], block[8:])
		h.Destination = addrPortOf(block[4:8], block[10:])
	case proxyTCP6:
		h.Source = addrPortOf(block[:16], block[32:])
		h.Destination = addrPortOf(block[16:32], block[34:])
	}
	if fault = h.parseValues(in[:n], proxyV2Fixed+addresses); fault != ProxyOK {
		return ProxyHeader{}, 0, fault
	}
	return h, n, ProxyOK
}

func addrPortOf(host, port []byte) netip.AddrPort {
	address, _ := netip.AddrFromSlice(host)
	return netip.AddrPortFrom(address.Unmap(), binary.BigEndian.Uint16(port))
}

// parseValues parses the values of a whole header, which begin at byte from.
func (h *ProxyHeader) parseValues(header []byte, from int) ProxyFault {
	for at := from; at < len(header); {
		kind, value, ok := proxyValue(header[at:])
		if !ok {
			return ProxyMalformed
		}
		end := at + 3 + len(value)
		switch kind {
		case proxyAuthority:
			if len(value) > maxDomain { // a session keeps it
				return ProxyMalformed
			}
			h.Authority = strings.ToValidUTF8(string(value), "\uFFFD")
		case proxyUniqueID:
			if len(value) > maxUniqueID {
				return ProxyMalformed
			}
			h.UniqueID = hex.EncodeToString(value)
		case proxyCRC32C:
			if len(value) != 4 {
				return ProxyMalformed
			}
			if binary.BigEndian.Uint32(value) != proxyChecksum(header, end-4) {
				return ProxyChecksum
			}
		case proxySSL:
			if !h.parseTLS(value) {
				return ProxyMalformed
			}
		}
		at = end
	}
	return ProxyOK
}

// proxyValue returns the first of the values in in: its type and its bytes.
func proxyValue(in []byte) (kind byte, value []byte, ok bool) {
	if len(in) < 3 {
		return 0, nil, false
	}
	length := int(binary.BigEndian.Uint16(in[1:]))
	if len(in) < 3+length {
		return 0, nil, false
	}
	return in[0], in[3 : 3+length], true
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// proxyChecksum returns the CRC32C of a header whose own checksum, at byte at, counts as
// four zero bytes (§2.2.3).
func proxyChecksum(header []byte, at int) uint32 {
	sum := crc32.Update(0, castagnoli, header[:at])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, header[at+4:])
}

// parseTLS parses the value of PP2_TYPE_SSL (§2.2.6) and reports whether it is valid.
func (h *ProxyHeader) parseTLS(value []byte) bool {
	if len(value) < 5 {
		return false
	}
	client, unverified := value[0], binary.BigEndian.Uint32(value[1:])
	tls := &ProxyTLS{
		Verified: client&(proxyClientCertConn|proxyClientCertSess) != 0 && unverified == 0,
	}
	for rest := value[5:]; len(rest) > 0; {
		kind, text, ok := proxyValue(rest)
		if !ok {
			return false
		}
		if kind >= proxySSLVersion && kind <= proxySSLCipher && len(text) > maxDomain { // a session keeps them
			return false
		}
		switch kind {
		case proxySSLVersion:
			tls.Version = strings.ToValidUTF8(string(text), "\uFFFD")
		case proxySSLCN:
			tls.CommonName = strings.ToValidUTF8(string(text), "\uFFFD")
		case proxySSLCipher:
			tls.Cipher = strings.ToValidUTF8(string(text), "\uFFFD")
		}
		rest = rest[3+len(text):]
	}
	if client&proxyClientSSL != 0 {
		h.TLS = tls
	}
	return true
}

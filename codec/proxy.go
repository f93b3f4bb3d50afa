package codec

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
)

// ProxyHeader is a header of the PROXY protocol (HAProxy, proxy-protocol.txt, versions 1
// and 2): a load balancer sends it before the client's first byte.
type ProxyHeader struct {
	// Source is the client's own address. It is the zero value when the header has none:
	// the balancer speaks for itself (LOCAL, a health check) or does not know (UNKNOWN).
	// The connection's own address counts then.
	Source netip.AddrPort
	// Destination is the address that the client connected to, zero without Source.
	Destination netip.AddrPort

	Authority string    // host name that the client asked for by SNI (PP2_TYPE_AUTHORITY)
	UniqueID  string    // the balancer's id of the connection in hexadecimal (PP2_TYPE_UNIQUE_ID)
	TLS       *ProxyTLS // nil when the client spoke no TLS with the balancer
}

// ProxyTLS is what a load balancer tells of the TLS connection that it terminated
// (PP2_TYPE_SSL).
type ProxyTLS struct {
	Version    string // such as TLSv1.3
	Cipher     string
	CommonName string // of the client's certificate
	Verified   bool   // the client presented a certificate, and it was verified
}

// ProxyFault is an error in a PROXY header.
type ProxyFault uint8

// The faults of a PROXY header.
const (
	ProxyOK        ProxyFault = iota
	ProxyMissing              // the input does not begin with a PROXY header
	ProxyMalformed            // it begins with one that is against the specification
	ProxyTooLong              // it is longer than MaxProxyHeader, or 107 bytes in version 1
	ProxyChecksum             // its CRC32C is another (PP2_TYPE_CRC32C)
	proxyFaultCount
)

// ProxyFaultCount is the number of faults, including ProxyOK.
const ProxyFaultCount = int(proxyFaultCount)

var proxyFaultNames = [proxyFaultCount]string{
	ProxyOK: "none", ProxyMissing: "missing", ProxyMalformed: "malformed",
	ProxyTooLong: "too_long", ProxyChecksum: "checksum",
}

// String returns the fault in snake_case, for metric labels and logs.
func (f ProxyFault) String() string {
	if f >= proxyFaultCount {
		return "invalid"
	}
	return proxyFaultNames[f]
}

// Limits of a PROXY header in bytes.
const (
	// MaxProxyHeader is the longest header that ParseProxy takes. Version 2 allows 64 KiB.
	MaxProxyHeader = 4 << 10
	// maxProxyV1 is the longest line of version 1 with CRLF (§2.1).
	maxProxyV1 = 107
)

const (
	proxyV1 = "PROXY "
	proxyV2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// ParseProxy parses the PROXY header at the start of in and returns it with its length n
// in bytes. What follows it in in belongs to the session. n is 0 and the fault ProxyOK
// while the header is incomplete: the caller calls again when more has come, with in from
// its start.
func ParseProxy(in []byte) (h ProxyHeader, n int, fault ProxyFault) {
	switch {
	case hasPrefixSoFar(in, proxyV1):
		return parseProxyV1(in)
	case hasPrefixSoFar(in, proxyV2):
		return parseProxyV2(in)
	}
	return ProxyHeader{}, 0, ProxyMissing
}

// hasPrefixSoFar reports whether in begins with prefix or may yet do so.
func hasPrefixSoFar(in []byte, prefix string) bool {
	n := min(len(in), len(prefix))
	return string(in[:n]) == prefix[:n]
}

func parseProxyV1(in []byte) (h ProxyHeader, n int, fault ProxyFault) {
	end := bytes.IndexByte(in[:min(len(in), maxProxyV1)], '\n')
	switch {
	case end < 0 && len(in) >= maxProxyV1:
		return h, 0, ProxyTooLong
	case end < 0:
		return h, 0, ProxyOK
	case in[end-1] != '\r':
		return h, 0, ProxyMalformed
	}
	line := string(in[len(proxyV1) : end-1])
	protocol, rest, addressed := strings.Cut(line, " ")
	switch {
	case protocol == "UNKNOWN": // what follows has to be ignored
		return h, end + 1, ProxyOK
	case protocol != "TCP4" && protocol != "TCP6" || !addressed:
		return h, 0, ProxyMalformed
	}
	field := strings.Split(rest, " ")
	if len(field) != 4 {
		return h, 0, ProxyMalformed
	}
	four := protocol == "TCP4"
	source, ok := proxyAddress(field[0], field[2], four)
	destination, ok2 := proxyAddress(field[1], field[3], four)
	if !ok || !ok2 {
		return h, 0, ProxyMalformed
	}
	h.Source, h.Destination = source, destination
	return h, end + 1, ProxyOK
}

// proxyAddress returns the address of the fields of version 1 (§2.1). A line for IPv6 may
// have IPv4 addresses, which nginx sends when its client and its server differ in family.
func proxyAddress(host, port string, four bool) (netip.AddrPort, bool) {
	address, err := netip.ParseAddr(host)
	if err != nil || four && !address.Is4() || address.Zone() != "" {
		return netip.AddrPort{}, false
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || len(port) > 1 && port[0] == '0' || port[0] == '+' {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(address.Unmap(), uint16(number)), true
}

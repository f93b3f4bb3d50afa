package codec

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
)

// v2 returns a header of version 2.
func v2(command, family byte, block string) string {
	head := append([]byte(proxyV2), command, family, 0, 0)
	binary.BigEndian.PutUint16(head[14:], uint16(len(block)))
	return string(head) + block
}

// tlv returns one value of a header of version 2.
func tlv(kind byte, value string) string {
	return string([]byte{kind, byte(len(value) >> 8), byte(len(value))}) + value
}

// withChecksum appends the checksum to a header of version 2.
func withChecksum(header string) string {
	whole := []byte(header + tlv(proxyCRC32C, "\x00\x00\x00\x00"))
	binary.BigEndian.PutUint16(whole[14:], uint16(len(whole)-proxyV2Fixed))
	binary.BigEndian.PutUint32(whole[len(whole)-4:], proxyChecksum(whole, len(whole)-4))
	return string(whole)
}

const (
	four = "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdd\xd5\x00\x19" // 192.0.2.1:56789 → 198.51.100.2:25
	six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xdd\xd5\x00\x19"
	tlsHead = "\x03\x00\x00\x00\x00" // TLS with a verified certificate
)

func TestParseProxy(t *testing.T) {
	from4, to4 := netip.MustParseAddrPort("192.0.2.1:56789"), netip.MustParseAddrPort("198.51.100.2:25")
	from6, to6 := netip.MustParseAddrPort("[2001:db8::1]:56789"), netip.MustParseAddrPort("[2001:db8::2]:25")
	plain4 := ProxyHeader{Source: from4, Destination: to4}
	plain6 := ProxyHeader{Source: from6, Destination: to6}
	named := plain4
	named.Authority, named.UniqueID = "mx.example.net", "00ff"
	secure := plain4
	secure.TLS = &ProxyTLS{Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", CommonName: "edge", Verified: true}
	long := tlv(0x04, strings.Repeat("x", MaxProxyHeader-proxyV2Fixed-12-3))
	for _, test := range []struct {
		name, in string
		want     ProxyHeader
		fault    ProxyFault
	}{
		{"v1 IPv4", "PROXY TCP4 192.0.2.1 198.51.100.2 56789 25\r\n", plain4, ProxyOK},
		{"v1 IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 56789 25\r\n", plain6, ProxyOK},
		{"v1 IPv4 in IPv6", "PROXY TCP6 ::ffff:192.0.2.1 198.51.100.2 56789 25\r\n", plain4, ProxyOK},
		{"v1 unknown", "PROXY UNKNOWN\r\n", ProxyHeader{}, ProxyOK},
		{"v1 unknown, longest", "PROXY UNKNOWN" + strings.Repeat(" f", 46) + "\r\n", ProxyHeader{}, ProxyOK},
		{"v1 too long", "PROXY UNKNOWN" + strings.Repeat(" f", 47) + "\r\n", ProxyHeader{}, ProxyTooLong},
		{"v1 LF", "PROXY UNKNOWN\n", ProxyHeader{}, ProxyMalformed},
		{"v1 two spaces", "PROXY TCP4  192.0.2.1 198.51.100.2 56789 25\r\n", ProxyHeader{}, ProxyMalformed},
		{"v1 leading zero", "PROXY TCP4 192.0.2.1 198.51.100.2 056789 25\r\n", ProxyHeader{}, ProxyMalformed},
		{"v1 sign", "PROXY TCP4 192.0.2.1 198.51.100.2 +5 25\r\n", ProxyHeader{}, ProxyMalformed},
		{"v1 port", "PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n", ProxyHeader{}, ProxyMalformed},
		{"v1 zone", "PROXY TCP6 fe80::1%eth0 2001:db8::2 56789 25\r\n", ProxyHeader{}, ProxyMalformed},
		{"v1 IPv6 in IPv4", "PROXY TCP4 2001:db8::1 2001:db8::2 56789 25\r\n", ProxyHeader{}, ProxyMalformed},
		{"v1 fields", "PROXY TCP4 192.0.2.1 198.51.100.2 56789 25 1\r\n", ProxyHeader{}, ProxyMalformed},
		{"v1 no fields", "PROXY \r\n", ProxyHeader{}, ProxyMalformed},
		{"v1 family", "PROXY UDP4 192.0.2.1 198.51.100.2 56789 25\r\n", ProxyHeader{}, ProxyMalformed},
		{"v2 IPv4", v2(proxyProxied, proxyTCP4, four), plain4, ProxyOK},
		{"v2 IPv6", v2(proxyProxied, proxyTCP6, six), plain6, ProxyOK},
		{"v2 values", v2(proxyProxied, proxyTCP4, four+
			tlv(proxyAuthority, "mx.example.net")+tlv(proxyUniqueID, "\x00\xff")+tlv(0xea, "aws")), named, ProxyOK},
		{"v2 TLS", v2(proxyProxied, proxyTCP4, four+tlv(proxySSL, tlsHead+
			tlv(proxySSLVersion, "TLSv1.3")+tlv(proxySSLCN, "edge")+tlv(proxySSLCipher, "TLS_AES_128_GCM_SHA256"))),
			secure, ProxyOK},
		{"v2 no TLS", v2(proxyProxied, proxyTCP4, four+tlv(proxySSL, "\x00\x00\x00\x00\x01")), plain4, ProxyOK},
		{"v2 checksum", withChecksum(v2(proxyProxied, proxyTCP4, four)), plain4, ProxyOK},
		{"v2 wrong checksum", v2(proxyProxied, proxyTCP4, four+tlv(proxyCRC32C, "abcd")), ProxyHeader{}, ProxyChecksum},
		{"v2 short checksum", v2(proxyProxied, proxyTCP4, four+tlv(proxyCRC32C, "abc")), ProxyHeader{}, ProxyMalformed},
		{"v2 long id", v2(proxyProxied, proxyTCP4, four+tlv(proxyUniqueID, strings.Repeat("i", 129))), ProxyHeader{}, ProxyMalformed},
		{"v2 longest authority", v2(proxyProxied, proxyTCP4, four+tlv(proxyAuthority, strings.Repeat("a", 255))),
			ProxyHeader{Source: from4, Destination: to4, Authority: strings.Repeat("a", 255)}, ProxyOK},
		{"v2 long authority", v2(proxyProxied, proxyTCP4, four+tlv(proxyAuthority, strings.Repeat("a", 256))), ProxyHeader{}, ProxyMalformed},
		{"v2 long common name", v2(proxyProxied, proxyTCP4, four+tlv(proxySSL, tlsHead+tlv(proxySSLCN, strings.Repeat("a", 256)))),
			ProxyHeader{}, ProxyMalformed},
		{"v2 local", v2(proxyLocal, proxyUnspecified, ""), ProxyHeader{}, ProxyOK},
		{"v2 local with a block", v2(proxyLocal, proxyTCP4, "abc"), ProxyHeader{}, ProxyOK},
		{"v2 unspecified", v2(proxyProxied, proxyUnspecified, ""), ProxyHeader{}, ProxyOK},
		{"v2 Unix", v2(proxyProxied, proxyUnix, strings.Repeat("\x00", 216)), ProxyHeader{}, ProxyOK},
		{"v2 longest", v2(proxyProxied, proxyTCP4, four+long), plain4, ProxyOK},
		{"v2 too long", v2(proxyProxied, proxyTCP4, four+long+"x"), ProxyHeader{}, ProxyTooLong},
		{"v2 version", v2(0x31, proxyTCP4, four), ProxyHeader{}, ProxyMalformed},
		{"v2 command", v2(0x22, proxyTCP4, four), ProxyHeader{}, ProxyMalformed},
		{"v2 datagram", v2(proxyProxied, 0x12, four), ProxyHeader{}, ProxyMalformed},
		{"v2 short block", v2(proxyProxied, proxyTCP4, four[:11]), ProxyHeader{}, ProxyMalformed},
		{"v2 short value", v2(proxyProxied, proxyTCP4, four+"\x02\x00\x05abc"), ProxyHeader{}, ProxyMalformed},
		{"v2 half a value", v2(proxyProxied, proxyTCP4, four+"\x02\x00"), ProxyHeader{}, ProxyMalformed},
		{"v2 short TLS", v2(proxyProxied, proxyTCP4, four+tlv(proxySSL, "\x01\x00")), ProxyHeader{}, ProxyMalformed},
		{"v2 short TLS value", v2(proxyProxied, proxyTCP4, four+tlv(proxySSL, tlsHead+"\x21\x00\x05")), ProxyHeader{}, ProxyMalformed},
		{"SMTP", "EHLO client.example\r\n", ProxyHeader{}, ProxyMissing},
		{"SMTP like v1", "PROXYEHLO\r\n", ProxyHeader{}, ProxyMissing},
		{"TLS", "\x16\x03\x01\x02\x00", ProxyHeader{}, ProxyMissing},
		{"empty line", "\r\nEHLO\r\n", ProxyHeader{}, ProxyMissing},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, behind := range []string{"", "EHLO client.example\r\n"} {
				in := []byte(test.in + behind)
				h, n, fault := ParseProxy(in)
				if fault != test.fault || !equalProxy(h, test.want) || (n == len(test.in)) != (fault == ProxyOK) {
					t.Fatalf("got %+v %d %v, want %+v %d %v", h, n, fault, test.want, len(test.in), test.fault)
				}
			}
			checkPrefixes(t, []byte(test.in))
		})
	}
}

// checkPrefixes checks that a header which comes in pieces is parsed as the whole one,
// and is called faulty only if the whole one is.
func checkPrefixes(t *testing.T, in []byte) {
	t.Helper()
	whole, length, want := ParseProxy(in)
	for i := range in {
		h, n, fault := ParseProxy(in[:i])
		switch {
		case fault != ProxyOK && fault != want:
			t.Fatalf("%q: %v, the whole is %v", in[:i], fault, want)
		case n == 0 && i >= length && length > 0, n > i, n != 0 && n != length:
			t.Fatalf("%q: header of %d bytes, the whole has %d", in[:i], n, length)
		case n > 0 && !equalProxy(h, whole):
			t.Fatalf("%q: %+v, the whole is %+v", in[:i], h, whole)
		}
	}
}

func equalProxy(a, b ProxyHeader) bool {
	if (a.TLS == nil) != (b.TLS == nil) || a.TLS != nil && *a.TLS != *b.TLS {
		return false
	}
	a.TLS, b.TLS = nil, nil
	return a == b
}

// FuzzProxy compares ParseProxy with another implementation, and pieces with the whole.
func FuzzProxy(f *testing.F) {
	proxyproto.V1AcceptIPv4InTCP6 = true
	for _, in := range generatedHeaders(rand.New(rand.NewPCG(1, 1)), 200) {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 2*MaxProxyHeader {
			return
		}
		compareProxy(t, in)
		if len(in) < 600 {
			checkPrefixes(t, in)
		}
	})
}

// TestProxyAsOthers compares ParseProxy with another implementation on headers that are
// valid, and on headers with a changed byte.
func TestProxyAsOthers(t *testing.T) {
	proxyproto.V1AcceptIPv4InTCP6 = true
	rng := rand.New(rand.NewPCG(2, 2))
	for _, in := range generatedHeaders(rng, 2000) {
		if _, n, fault := ParseProxy(in); n == 0 {
			t.Fatalf("%q: %v", in, fault)
		}
		compareProxy(t, in)
		changed := bytes.Clone(in)
		changed[rng.IntN(len(changed))] ^= byte(1 << rng.IntN(8))
		compareProxy(t, changed)
		compareProxy(t, in[:rng.IntN(len(in))])
	}
}

// generatedHeaders returns valid headers with input behind them.
func generatedHeaders(rng *rand.Rand, count int) (all [][]byte) {
	for range count {
		version := byte(1 + rng.IntN(2))
		source, destination := &net.TCPAddr{Port: rng.IntN(65536)}, &net.TCPAddr{Port: rng.IntN(65536)}
		length := []int{net.IPv4len, net.IPv6len}[rng.IntN(2)]
		source.IP, destination.IP = make(net.IP, length), make(net.IP, length)
		for i := range source.IP {
			source.IP[i], destination.IP[i] = byte(rng.Uint32()), byte(rng.Uint32())
		}
		h := proxyproto.HeaderProxyFromAddrs(version, source, destination)
		if version == 2 {
			var values []proxyproto.TLV
			for range rng.IntN(4) {
				values = append(values, proxyproto.TLV{
					Type:  []proxyproto.PP2Type{proxyAuthority, proxyUniqueID, 0x04, 0xe0}[rng.IntN(4)],
					Value: bytes.Repeat([]byte{byte(rng.Uint32())}, rng.IntN(100)),
				})
			}
			if err := h.SetTLVs(values); err != nil {
				panic(err)
			}
		}
		raw, err := h.Format()
		if err != nil {
			panic(err)
		}
		all = append(all, append(raw, "EHLO client.example\r\n"[:rng.IntN(21)]...))
	}
	return all
}

// compareProxy compares ParseProxy with another implementation on one input.
func compareProxy(t *testing.T, in []byte) {
	t.Helper()
	h, n, fault := ParseProxy(in)
	source := bytes.NewReader(in)
	reader := bufio.NewReaderSize(source, 16<<10)
	other, err := proxyproto.Read(reader)
	used := len(in) - source.Len() - reader.Buffered()
	switch {
	case n > 0 && err == nil:
		if used != n {
			t.Fatalf("%q: header of %d bytes, another says %d", in, n, used)
		}
		if want := sourceOf(other); h.Source != want {
			t.Fatalf("%q: source %v, another says %v", in, h.Source, want)
		}
	case n > 0:
		if h.Source.IsValid() {
			t.Fatalf("%q: taken with a source, another says %v", in, err)
		}
	case err == nil && fault == ProxyOK:
		t.Fatalf("%q: incomplete, another takes it", in)
	case err == nil && !stricter(other, in, fault):
		t.Fatalf("%q: %v, another takes it: %+v", in, fault, other)
	}
}

func sourceOf(h *proxyproto.Header) netip.AddrPort {
	tcp, ok := h.SourceAddr.(*net.TCPAddr)
	if !ok || h.Command.IsLocal() {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// stricter reports whether ParseProxy refuses in for a rule that the other implementation
// does not have: it does not look at values, takes datagrams, and more bytes.
func stricter(h *proxyproto.Header, in []byte, fault ProxyFault) bool {
	values, err := h.TLVs()
	if errors.Is(err, proxyproto.ErrTruncatedTLV) || errors.Is(err, proxyproto.ErrMalformedTLV) ||
		h.Version == 2 && h.TransportProtocol.IsDatagram() {
		return fault == ProxyMalformed
	}
	for _, v := range values {
		switch byte(v.Type) {
		case proxyCRC32C:
			return fault == ProxyChecksum || fault == ProxyMalformed
		case proxyUniqueID, proxySSL, proxyAuthority:
			return fault == ProxyMalformed
		}
	}
	return fault == ProxyTooLong && len(in) > MaxProxyHeader
}

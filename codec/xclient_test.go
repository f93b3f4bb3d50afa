package codec

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseXclient(t *testing.T) {
	for _, test := range []struct {
		arg   string
		want  Xclient
		fault Fault
	}{
		{"ADDR=192.0.2.1", Xclient{Address: netip.MustParseAddr("192.0.2.1")}, FaultNone},
		{"addr=ipv6:2001:db8::1 port=587", Xclient{Address: netip.MustParseAddr("2001:db8::1"), Port: 587}, FaultNone},
		{"ADDR=IPV6:::ffff:192.0.2.1", Xclient{Address: netip.MustParseAddr("192.0.2.1")}, FaultNone},
		{"NAME=mx.example.net ADDR=192.0.2.1 PROTO=ESMTP HELO=a+2Bb", Xclient{
			Address: netip.MustParseAddr("192.0.2.1"), Name: "mx.example.net", Proto: "ESMTP", Helo: "a+b"}, FaultNone},
		{"NAME=[UNAVAILABLE] ADDR=[unavailable] PORT=[TEMPUNAVAIL] HELO=[UNAVAILABLE] PROTO=[UNAVAILABLE]",
			Xclient{}, FaultNone},
		{"", Xclient{}, FaultSyntax},
		{"ADDR", Xclient{}, FaultParameterSyntax},
		{"ADDR=", Xclient{}, FaultParameterSyntax},
		{"ADDR=2001:db8::1", Xclient{}, FaultParameterSyntax},
		{"ADDR=IPV6:fe80::1%25eth0", Xclient{}, FaultParameterSyntax},
		{"ADDR=192.0.2", Xclient{}, FaultParameterSyntax},
		{"PORT=65536", Xclient{}, FaultParameterSyntax},
		{"PROTO=LMTP", Xclient{}, FaultParameterSyntax},
		{"HELO=a+0D", Xclient{}, FaultParameterSyntax},
		{"HELO=a+2b", Xclient{}, FaultParameterSyntax},
		{"HELO=a+2", Xclient{}, FaultParameterSyntax},
		{"HELO=" + strings.Repeat("a", 256), Xclient{}, FaultParameterSyntax},
		{"NAME=a NAME=b", Xclient{}, FaultRepeatedParameter},
		{"LOGIN=someone", Xclient{}, FaultUnknownParameter},
	} {
		if got, fault := ParseXclient([]byte(test.arg)); got != test.want || fault != test.fault {
			t.Errorf("%s: %+v %v, want %+v %v", test.arg, got, fault, test.want, test.fault)
		}
	}
}

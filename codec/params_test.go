package codec

import (
	"math"
	"testing"
)

func TestParseMailParams(t *testing.T) {
	for _, tc := range []struct {
		params string
		size   int64
		body   BodyType
		fault  Fault
	}{
		{params: "", size: SizeNone},
		{params: "  \t", size: SizeNone},
		{params: "SIZE=0", size: 0},
		{params: "size=1000", size: 1000},
		{params: "SIZE=1000  body=8bitmime", size: 1000, body: Body8BitMIME},
		{params: "BODY=7BIT SIZE=1", size: 1, body: Body7Bit},
		{params: "SIZE=9223372036854775807", size: math.MaxInt64},
		{params: "SIZE=9223372036854775808", size: math.MaxInt64},
		{params: "SIZE=99999999999999999999", size: math.MaxInt64},
		{params: "SIZE=00000000000000000012", size: 12},
		{params: "SIZE=100000000000000000000", fault: FaultParameterSyntax},
		{params: "SIZE", fault: FaultParameterSyntax},
		{params: "SIZE=", fault: FaultParameterSyntax},
		{params: "SIZE=-1", fault: FaultParameterSyntax},
		{params: "SIZE=1k", fault: FaultParameterSyntax},
		{params: "SIZE=1 SIZE=1", fault: FaultRepeatedParameter},
		{params: "SIZE=0 SIZE=x", fault: FaultRepeatedParameter},
		{params: "BODY=7BIT body=7BIT", fault: FaultRepeatedParameter},
		{params: "BODY", fault: FaultParameterSyntax},
		{params: "BODY=BINARYMIME", fault: FaultParameterSyntax},
		{params: "X", fault: FaultUnknownParameter},
		{params: "X=y SIZE=", fault: FaultUnknownParameter},
		{params: "SMTPUTF8", fault: FaultUnknownParameter},
		{params: "=x", fault: FaultParameterSyntax},
		{params: "-x", fault: FaultParameterSyntax},
		{params: "X_Y=1", fault: FaultParameterSyntax},
		{params: "X==1", fault: FaultParameterSyntax},
		{params: "X=1=2", fault: FaultParameterSyntax},
		{params: "X=\x7f", fault: FaultParameterSyntax},
	} {
		m, fault := ParseMailParams([]byte(tc.params))
		if fault != tc.fault || fault == FaultNone && (m.Size != tc.size || m.Body != tc.body) {
			t.Errorf("%q: %+v, %v; want size %d, body %q, %v", tc.params, m, fault, tc.size, tc.body, tc.fault)
		}
	}
}

func TestParseRcptParams(t *testing.T) {
	for params, want := range map[string]Fault{
		"": FaultNone, " ": FaultNone, "NOTIFY=NEVER": FaultUnknownParameter, "a b": FaultUnknownParameter, "=": FaultParameterSyntax,
	} {
		if got := ParseRcptParams([]byte(params)); got != want {
			t.Errorf("%q: %v, want %v", params, got, want)
		}
	}
}

func TestNextParam(t *testing.T) {
	params := []byte(" ENVID=a+2Bb  X-1 ret=HDRS\t")
	var got string
	for {
		p, rest, ok, fault := NextParam(params)
		if fault != FaultNone {
			t.Fatal(fault)
		}
		if !ok {
			break
		}
		got += string(p.Key)
		if p.HasValue {
			got += "=" + string(p.Value)
		}
		got += ";"
		params = rest
	}
	if want := "ENVID=a+2Bb;X-1;ret=HDRS;"; got != want {
		t.Errorf("parameters %q, want %q", got, want)
	}
}

func TestBodyTypeString(t *testing.T) {
	for body, want := range map[BodyType]string{BodyUnspecified: "", Body7Bit: "7BIT", Body8BitMIME: "8BITMIME"} {
		if body.String() != want {
			t.Errorf("body type %d is %q, want %q", body, body, want)
		}
	}
}

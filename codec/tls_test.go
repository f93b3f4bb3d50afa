package codec

import (
	"bytes"
	"testing"
)

func TestTLSRecord(t *testing.T) {
	record := func(kind, major byte, length int) []byte {
		return append([]byte{kind, major, 3, byte(length >> 8), byte(length)}, make([]byte, length)...)
	}
	whole := record(tlsHandshake, tlsMajor, 300)
	for _, c := range []struct {
		what string
		in   []byte
		n    int
		ok   bool
	}{
		{"nothing", nil, 0, true},
		{"a type", whole[:1], 0, true},
		{"all but the end", whole[:len(whole)-1], 0, true},
		{"one", whole, len(whole), true},
		{"one and a half", append(bytes.Clone(whole), whole[:100]...), len(whole), true},
		{"without content", record(0x17, tlsMajor, 0), tlsHeader, true},
		{"of the largest size", record(0x17, tlsMajor, tlsMaxFragment), tlsHeader + tlsMaxFragment, true},
		{"over it", record(0x17, tlsMajor, tlsMaxFragment+1)[:tlsHeader], 0, false},
		{"below the types", record(0x13, tlsMajor, 1), 0, false},
		{"change_cipher_spec", record(0x14, tlsMajor, 1), 6, true},
		{"heartbeat", record(0x18, tlsMajor, 1), 0, false},
		{"an SSL 2.0 hello", []byte{0x80, 0x2e, 1, 0, 2}, 0, false},
		{"another protocol", []byte{tlsHandshake, 4}, 0, false},
		{"a command", []byte("EHLO example.com\r\n"), 0, false},
	} {
		if n, ok := TLSRecord(c.in); n != c.n || ok != c.ok {
			t.Errorf("%s: got %d, %t, want %d, %t", c.what, n, ok, c.n, c.ok)
		}
	}
}

// FuzzTLSRecord checks that a record is found once it is whole and not before, and that
// what cannot begin one is refused with every continuation.
func FuzzTLSRecord(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\x02\x01\x02\x17\x03\x03\x00\x00"))
	f.Add([]byte("EHLO"))
	f.Fuzz(func(t *testing.T, in []byte) {
		n, ok := TLSRecord(in)
		if n < 0 || n > len(in) || n > 0 && (n < tlsHeader || !ok) {
			t.Fatalf("%x: got %d, %t", in, n, ok)
		}
		for i := range in {
			before, possible := TLSRecord(in[:i])
			if ok && !possible || !possible && before != 0 || (n == 0 || i < n) && before != 0 || n > 0 && i >= n && before != n {
				t.Fatalf("%x: got %d, %t, and of its first %d octets %d, %t", in, n, ok, i, before, possible)
			}
		}
	})
}

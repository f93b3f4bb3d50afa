package ldap

import (
	"bytes"
	"context"
	"encoding/asn1"
	"io"
	"net"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// TestRequests reads each request with two decoders of others: a strict one of DER, and
// that of the library of filters.
func TestRequests(t *testing.T) {
	long := strings.Repeat("ü", 4000)
	for _, n := range []int{1, 127, 128, 255, 256, 32767, 32768, 1 << 24} {
		for name, r := range map[string][]byte{
			"bind":      bindRequest(n, "cn=alice", []byte("secret")),
			"long bind": bindRequest(n, long, []byte(long)),
			"search":    (&searchRequest{base: "dc=example", filter: []byte("\x87\x04mail"), attribute: "1.1", seconds: n}).encode(n),
			"starttls":  startTLSRequest(n),
			"unbind":    unbindRequest(n),
		} {
			var m struct {
				ID       int
				Op       asn1.RawValue
				Controls asn1.RawValue `asn1:"optional,tag:0"`
			}
			if rest, err := asn1.Unmarshal(r, &m); err != nil || len(rest) > 0 || m.ID != n {
				t.Errorf("%s: message %d in place of %d, %d bytes left, %v", name, m.ID, n, len(rest), err)
			}
			p, err := ber.DecodePacketErr(r)
			if err != nil || p.Children[0].Value != int64(n) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	r := bindRequest(7, "cn=alice", []byte("secret"))
	const want = "\x30\x39\x02\x01\x07" + "\x60\x15\x02\x01\x03\x04\x08cn=alice\x80\x06secret" +
		"\xa0\x1d\x30\x1b\x04\x19" + policyOID
	if len(policyOID) != 25 || string(r) != want {
		t.Errorf("%q\nwant %q", r, want)
	}
}

// TestRequestIsWiped holds that the copy of a password in a request does not stay.
func TestRequestIsWiped(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	go func() { _, _ = io.Copy(io.Discard, b); b.Close() }()
	c := &conn{raw: a, net: a}
	r := bindRequest(1, "cn=alice", []byte("secret"))
	if err := c.send(r); err != nil || bytes.Contains(r[:cap(r)], []byte("secret")) {
		t.Errorf("%q, %v", r, err)
	}
	a.Close()
	r = bindRequest(1, "cn=alice", []byte("secret"))
	if err := c.send(r); err == nil || bytes.Contains(r, []byte("secret")) {
		t.Errorf("%q, %v", r, err)
	}
	if _, err := c.bind(context.Background(), "", []byte("secret")); err == nil {
		t.Error("a bind without a name")
	}
	if _, err := c.bind(context.Background(), "cn=alice", nil); err == nil {
		t.Error("a bind without a password")
	}
}

// TestPolicyControl has the answers of slapd to binds: an error, a warning alone, and
// controls that are none.
func TestPolicyControl(t *testing.T) {
	control := func(value string) string {
		return "\x30" + string(rune(2+len(policyOID)+2+len(value))) + "\x04\x19" + policyOID + "\x04" + string(rune(len(value))) + value
	}
	for controls, want := range map[string]int{
		"":                                      noPolicy,
		control("\x30\x03\x81\x01\x02"):         2,
		control("\x30\x00"):                     noPolicy,
		control("\x30\x05\xa0\x03\x80\x01\x05"): noPolicy,
		control("\x30\x08\xa0\x03\x80\x01\x05\x81\x01\x01"):                 1,
		"\x30\x05\x04\x031.2" + control("\x30\x03\x81\x01\x00"):             0,
		"\x30\x08\x04\x031.2\x01\x01\xff" + control("\x30\x03\x81\x01\x00"): 0,
		control(""):                                     noPolicy,
		control("\x30\x7f"):                             noPolicy,
		control("\x30\x04\x81\x02\x00\x01"):             noPolicy,
		"\x30\x1b\x04\x19" + policyOID:                  noPolicy,
		"\x30\x1b\x04\x19" + policyOID + "\x30\x7f\x01": noPolicy,
	} {
		if got := policyError([]byte(controls)); got != want {
			t.Errorf("%q: %d, want %d", controls, got, want)
		}
	}
}

// FuzzMessage reads what a server may send. What is taken for a message agrees with the
// decoder of the library of filters.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
		"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x61\x84\x00\x00\x00\x07\x0a\x01\x31\x04\x00\x04\x00",
		"\x30\x15\x02\x01\x02\x64\x10\x04\x04cn=a\x30\x08\x30\x06\x04\x01a\x31\x01\x04",
		"\x30\x80\x00\x00", "\x30\x84\x7f\xff\xff\xff",
		"\x30\x2f\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00\xa0\x21\x30\x1f\x04\x19" + policyOID + "\x04\x02\x30\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		in := bytes.NewReader(text)
		m, err := readMessage(in)
		if err != nil {
			return
		}
		if m.id < 0 || len(m.body)+len(m.controls) > maxMessage {
			t.Errorf("message %d of %d bytes", m.id, len(m.body))
		}
		_, _ = m.entry()
		got, err := m.result(m.op)
		if err != nil || m.op != opBindResponse {
			return
		}
		p, err := ber.DecodePacketErr(text[:len(text)-in.Len()])
		if err != nil {
			return // it looks into parts that do not matter
		}
		if id := p.Children[0].Value; id != int64(m.id) {
			t.Errorf("message %d, not %v", m.id, id)
		}
		if code := p.Children[1].Children[0].Value; code != int64(got.code) {
			t.Errorf("code %d, not %v", got.code, code)
		}
	})
}

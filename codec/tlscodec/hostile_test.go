package tlscodec

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"sluice/internal/rawtls"
	"sluice/internal/testkit"
)

// Types of records and of messages of the handshake's protocol (RFC 8446 §5.1, §4).
const (
	typeAlert       = 21
	typeHandshake   = 22
	typeApplication = 23

	messageClientHello = 1
	messageCertificate = 11
	messageKeyUpdate   = 24
)

// attacker has the keys of a TLS 1.3 client and seals what it likes.
type attacker struct {
	*rawtls.Client
	begun bool // an endless message
}

// attack returns a server after its handshake, and who attacks it.
func attack(t testing.TB) (*pair, *attacker) {
	t.Helper()
	var log bytes.Buffer
	theirs := clientConfig(tls.VersionTLS13)
	theirs.KeyLogWriter = &log
	p := shaken(t, serverConfig(testkit.ECDSAPair()), theirs)
	client, err := rawtls.New(log.String())
	if err != nil {
		t.Fatal(err)
	}
	return p, &attacker{Client: client}
}

// endless returns the next n octets of a message that is larger than what is ever sent.
func (a *attacker) endless(n int) []byte {
	content := make([]byte, n)
	if !a.begun {
		content = append([]byte{messageCertificate, 3, 0xff, 0xff}, content...)[:max(n, 4)]
	}
	a.begun = true
	return a.Seal(typeHandshake, content, 0)
}

// flood opens records until one is refused, and returns how many were not.
func flood(t *testing.T, server *Conn, record func() []byte) (taken int, err error) {
	t.Helper()
	for taken = range 100_000 {
		text, err := server.Open(nil, record())
		if err != nil {
			return taken, err
		}
		if len(text) > 0 {
			t.Fatalf("text %q", text)
		}
	}
	t.Fatal("the flood has no end")
	return 0, nil
}

// TestFloods sends records behind the handshake that bring no text.
func TestFloods(t *testing.T) {
	one := []byte{messageKeyUpdate, 0, 0, 1, 0}
	for what, flooding := range map[string]struct {
		most   int // records that may be taken
		record func(t *testing.T, a *attacker) []byte
	}{
		"empty": {16, func(_ *testing.T, a *attacker) []byte { return a.Seal(typeApplication, nil, 0) }},
		"empty and padded": {1, func(_ *testing.T, a *attacker) []byte {
			return a.Seal(typeApplication, nil, maxText)
		}},
		"change_cipher_spec": {16, func(*testing.T, *attacker) []byte { return []byte{20, 3, 3, 0, 1, 1} }},
		"user_canceled":      {16, func(_ *testing.T, a *attacker) []byte { return a.Seal(typeAlert, []byte{1, 90}, 0) }},
		"KeyUpdate": {16, func(_ *testing.T, a *attacker) []byte {
			return a.KeyUpdate(false)
		}},
		"empty handshake": {0, func(_ *testing.T, a *attacker) []byte { return a.Seal(typeHandshake, nil, 0) }},
		"two messages": {0, func(_ *testing.T, a *attacker) []byte {
			return a.Seal(typeHandshake, append(bytes.Clone(one), one...), 0)
		}},
		"ClientHello": {0, func(_ *testing.T, a *attacker) []byte {
			return a.Seal(typeHandshake, []byte{messageClientHello, 0, 0, 0}, 0)
		}},
		"unknown type":  {0, func(_ *testing.T, a *attacker) []byte { return a.Seal(99, []byte{1}, 0) }},
		"no type":       {0, func(_ *testing.T, a *attacker) []byte { return a.Seal(0, nil, 100) }},
		"too much text": {0, func(_ *testing.T, a *attacker) []byte { return a.Seal(typeApplication, make([]byte, maxText+1), 0) }},
		"plain text":    {0, func(*testing.T, *attacker) []byte { return []byte{typeApplication, 3, 3, 0, 2, 'h', 'i'} }},
		"no content":    {0, func(*testing.T, *attacker) []byte { return []byte{typeApplication, 3, 3, 0, 0} }},
		"half a record": {0, func(_ *testing.T, a *attacker) []byte { return a.Seal(typeApplication, []byte("NOOP"), 0)[:9] }},
		"two records": {0, func(_ *testing.T, a *attacker) []byte {
			return append(a.Seal(typeApplication, []byte("a"), 0), a.Seal(typeApplication, []byte("b"), 0)...)
		}},
		"plain alert": {0, func(*testing.T, *attacker) []byte { return []byte{typeAlert, 3, 3, 0, 2, 1, 0} }},
		"too large for 1.3": {0, func(*testing.T, *attacker) []byte {
			return append([]byte{typeApplication, 3, 3, 0x41, 1}, make([]byte, maxText+257)...)
		}},
		"wrong version": {0, func(_ *testing.T, a *attacker) []byte {
			r := a.Seal(typeApplication, []byte("NOOP"), 0)
			r[2] = 1
			return r
		}},
		"endless message": {maxSilent / 20, func(_ *testing.T, a *attacker) []byte { return a.endless(1) }},
		"large fragments": {1, func(_ *testing.T, a *attacker) []byte { return a.endless(maxText) }},
	} {
		t.Run(what, func(t *testing.T) {
			p, a := attack(t)
			taken, err := flood(t, p.server, func() []byte { return flooding.record(t, a) })
			if taken > flooding.most || errors.Is(err, io.EOF) {
				t.Errorf("%d records were taken, then %v", taken, err)
			}
			if _, again := p.server.Open(nil, a.Seal(typeApplication, []byte("NOOP"), 0)); !errors.Is(again, err) {
				t.Errorf("first %v, then %v", err, again)
			}
			if pending := p.server.Flush(nil); len(pending) > 17*64 {
				t.Errorf("%d octets are to be sent", len(pending))
			}
		})
	}
}

// TestTextEndsASilence has more records without text than are taken in one go, with text
// between them.
func TestTextEndsASilence(t *testing.T) {
	p, a := attack(t)
	var got []byte
	for range maxUnpaid / 2 {
		for _, record := range [][]byte{
			a.Seal(typeApplication, nil, 1000), a.Seal(typeApplication, nil, maxText-1), a.Seal(typeApplication, []byte("x"), maxText-1),
		} {
			text, err := p.server.Open(got, record)
			if err != nil {
				t.Fatal(err)
			}
			got = text
		}
	}
	if string(got) != strings.Repeat("x", maxUnpaid/2) {
		t.Errorf("got %q", got)
	}
}

// TestKeyUpdate has the peer ask for new keys between texts: the answer stands before what
// is sealed next, in pieces or whole.
func TestKeyUpdate(t *testing.T) {
	withAndWithoutLending(t, func(t *testing.T) {
		p, a := attack(t)
		request := []byte{messageKeyUpdate, 0, 0, 1, 1}
		for round := range maxUnpaid / 2 { // a round has two records without text on the average
			pieces := [][]byte{request}
			if round%2 == 1 {
				pieces = [][]byte{request[:1], request[1:3], request[3:]}
			}
			for _, piece := range pieces {
				if text, err := p.server.Open(nil, a.Seal(typeHandshake, piece, 0)); len(text) > 0 || err != nil {
					t.Fatalf("got %q, %v", text, err)
				}
			}
			a.Rekey()
			if text, err := p.server.Open(nil, a.Seal(typeApplication, []byte("NOOP"), 0)); string(text) != "NOOP" || err != nil {
				t.Fatalf("got %q, %v behind the new keys", text, err)
			}
			wire := p.server.Seal(nil, []byte("250 Ok"))
			if n := len(split(t, wire)); n != 2 {
				t.Fatalf("%d records", n)
			}
			if text, err := p.read(wire); text != "250 Ok" || err != nil {
				t.Fatalf("the client read %q, %v", text, err)
			}
		}
	})
}

// TestTextPaysForRecords has records without text among text: enough of it, and too little.
func TestTextPaysForRecords(t *testing.T) {
	silent := map[string]func(*attacker) []byte{
		"KeyUpdate": func(a *attacker) []byte { return a.KeyUpdate(true) },
		"empty":     func(a *attacker) []byte { return a.Seal(typeApplication, nil, 0) },
	}
	for name, record := range silent {
		for _, text := range []int{1, textForRecord/2 + 1, textForRecord} {
			p, a := attack(t)
			taken := 0
			for range 10 * maxUnpaid {
				_, err := p.server.Open(nil, record(a))
				if err == nil {
					taken++
					_, err = p.server.Open(nil, a.Seal(typeApplication, make([]byte, text), 0))
				}
				p.server.Flush(nil)
				if err != nil {
					break
				}
			}
			least, most := maxUnpaid, maxUnpaid
			switch text {
			case textForRecord:
				least, most = 10*maxUnpaid, 10*maxUnpaid
			case textForRecord/2 + 1:
				most = 2*maxUnpaid + 1
			}
			if taken < least || taken > most {
				t.Errorf("%s, each with %d octets of text: %d were taken", name, text, taken)
			}
		}
	}
}

// TestHandshakeFloods sends handshakes that never get complete.
func TestHandshakeFloods(t *testing.T) {
	hello := clientHello(t, clientConfig(tls.VersionTLS13))[headerLen:]
	record := func(kind byte, content ...byte) []byte {
		return append([]byte{kind, 3, 1, byte(len(content) >> 8), byte(len(content))}, content...)
	}
	endless := func(piece int) func(i int) []byte {
		return func(i int) []byte {
			content := make([]byte, piece)
			copy(content, []byte{messageClientHello, 0, 0xff, 0xff}[min(i*piece, 4):])
			return record(typeHandshake, content...)
		}
	}
	for what, flooding := range map[string]struct {
		most   int // octets that may be taken
		record func(i int) []byte
	}{
		"one octet at a time": {maxHandshake, endless(1)},
		"a large message":     {maxHandshake, endless(5000)},
		"empty":               {headerLen, func(int) []byte { return record(typeHandshake) }},
		"warnings":            {17 * 7, func(int) []byte { return record(typeAlert, 1, 1) }},
		"text":                {6, func(int) []byte { return record(typeApplication, 'x') }},
		"too large a message": {headerLen + 4, func(int) []byte { return record(typeHandshake, messageClientHello, 1, 0, 1) }},
		"hellos":              {3 * (headerLen + len(hello)), func(int) []byte { return record(typeHandshake, hello...) }},
		"change_cipher_spec": {headerLen + len(hello) + 17*6, func(i int) []byte {
			if i == 0 {
				return record(typeHandshake, hello...)
			}
			return record(20, 1)
		}},
	} {
		t.Run(what, func(t *testing.T) {
			conn, taken, sent := New(serverConfig(testkit.ECDSAPair())), 0, 0
			i := -1
			err := conn.Handshake(context.Background(), func(out []byte) ([]byte, error) {
				i++
				sent += len(out)
				r := flooding.record(i)
				taken += len(r)
				return r, nil
			})
			if err == nil || taken > flooding.most+5000+headerLen {
				t.Errorf("%d octets were taken, then %v", taken, err)
			}
			if sent += len(conn.Flush(nil)); sent > 4096 {
				t.Errorf("%d octets were sent", sent)
			}
		})
	}
}

// TestEarlyDataIsRefused has a client announce early data, which no ticket of ours permits,
// and send some.
func TestEarlyDataIsRefused(t *testing.T) {
	flight := clientHello(t, clientConfig(tls.VersionTLS13))
	// The extension goes behind the others, whose length stands behind the legacy session
	// id, the cipher suites and the compression methods (RFC 8446 §4.1.2).
	at := headerLen + 4 + 2 + 32
	at += 1 + int(flight[at])
	at += 2 + int(binary.BigEndian.Uint16(flight[at:]))
	at += 1 + int(flight[at])
	for _, length := range []int{3, headerLen + 2, at} {
		n := binary.BigEndian.Uint16(flight[length:])
		binary.BigEndian.PutUint16(flight[length:], n+4)
	}
	flight = append(flight, 0, 42, 0, 0)
	flight = append(flight, typeApplication, 3, 3, 0, 20)
	flight = append(flight, make([]byte, 20)...)
	conn, calls := New(serverConfig(testkit.ECDSAPair())), 0
	err := conn.Handshake(context.Background(), func([]byte) ([]byte, error) {
		if calls++; calls > 1 {
			return nil, io.EOF
		}
		return flight, nil
	})
	if err == nil || !strings.Contains(err.Error(), "early") || calls != 1 {
		t.Errorf("got %v after %d calls", err, calls)
	}
	if text, err := conn.Open(nil, nil); len(text) > 0 || err == nil {
		t.Errorf("got %q, %v", text, err)
	}
}

// TestClientCertificatesHaveRoom has a client present a chain that would be over the limit
// of a handshake without one.
func TestClientCertificatesHaveRoom(t *testing.T) {
	ours, theirs := serverConfig(testkit.ECDSAPair()), clientConfig(tls.VersionTLS13)
	ours.ClientAuth = tls.RequestClientCert
	chain := testkit.ECDSAPair()
	for len(chain.Certificate)*len(chain.Certificate[0]) < maxHandshake {
		chain.Certificate = append(chain.Certificate, chain.Certificate[0])
	}
	theirs.Certificates = []tls.Certificate{chain}
	p := shaken(t, ours, theirs)
	if n := len(p.server.State().PeerCertificates); n != len(chain.Certificate) {
		t.Errorf("%d certificates of %d came", n, len(chain.Certificate))
	}
}

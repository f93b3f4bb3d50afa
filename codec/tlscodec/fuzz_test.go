package tlscodec

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/codec"
	"sluice/internal/testkit"
)

// FuzzRecords has what a client sends cut, doubled, reordered or corrupted on its way, in
// the handshake or behind it. The record layer must end with an error and never bring a
// text that the client did not send.
func FuzzRecords(f *testing.F) {
	for _, how := range []string{"", "a0", "b0", "c5", "d0", "e0", "f0"} { // see mangle
		for later := range 4 {
			script := []byte(strings.Repeat("88", later) + how)
			f.Add(script, true)
			f.Add(script, false)
		}
	}
	f.Fuzz(func(t *testing.T, script []byte, newer bool) {
		version := uint16(tls.VersionTLS12)
		if newer {
			version = tls.VersionTLS13
		}
		left, right := link(t)
		ours := serverConfig(testkit.ECDSAPair())
		ours.SessionTicketsDisabled = true // the client does not read while it writes
		s := newServer(right, ours)
		sent := []byte("EHLO example.com\r\nMAIL FROM:<>\r\n")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer left.Close()
			client := tls.Client(left, clientConfig(version))
			for rest := range slices.Chunk(sent, 5) {
				if _, err := client.Write(rest); err != nil {
					break
				}
			}
			_ = client.CloseWrite()
		}()
		text := mangled(s, script)
		right.Close()
		<-ended
		if !bytes.HasPrefix(sent, text) {
			t.Fatalf("%q was not sent", text)
		}
	})
}

// mangled serves a session whose records a script changes, and returns its text.
func mangled(s *server, script []byte) (text []byte) {
	err := s.codec.Handshake(context.Background(), func(out []byte) ([]byte, error) {
		if err := s.write(out); err != nil {
			return nil, err
		}
		in, err := s.soon(10)
		if err == nil {
			in, script = mangle(in, nil, script)
		}
		return in, err
	})
	if err == nil {
		err = s.write(s.codec.Flush(nil))
	}
	if err == nil {
		text, err = s.codec.Open(nil, nil)
	}
	for err == nil {
		var record, next []byte
		if record, err = s.soon(1); err != nil {
			break
		}
		if len(script) > 1 && script[0]%8 == 5 {
			next, _ = s.soon(1)
		}
		record, script = mangle(record, next, script)
		text, err = s.codec.Open(text, record)
	}
	if _, err := s.codec.Open(nil, []byte{typeAlert, 3, 3, 0, 0}); err == nil {
		panic("a record without content was taken")
	}
	s.codec.Close(s.codec.Seal(nil, text))
	return text
}

// soon returns records that come soon. What lost a part lets both ends wait for ever.
func (s *server) soon(limit int) ([]byte, error) {
	_ = s.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	return s.records(limit)
}

// mangle changes records by the first two octets of a script: what to do, and where.
func mangle(records, next, script []byte) (mangled, rest []byte) {
	if len(script) < 2 {
		return records, nil
	}
	how, where := script[0], int(script[1])%len(records)
	switch first, _ := codec.TLSRecord(records); how % 8 {
	case 1:
		records = records[:where]
	case 2:
		records = append(records, records...)
	case 3:
		records[where] ^= 1 << (how >> 5)
	case 4:
		records = append(bytes.Clone(records[first:]), records[:first]...)
	case 5:
		records = append(next, records...)
	case 6:
		records = slices.Insert(records, where, how)
	}
	return records, script[2:]
}

// FuzzHandshake begins a handshake with anything that looks like records.
func FuzzHandshake(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\x04\x01\x00\x00\x00"))
	f.Add(clientHello(f, clientConfig(tls.VersionTLS12)))
	f.Add(clientHello(f, clientConfig(tls.VersionTLS13)))
	f.Fuzz(func(t *testing.T, in []byte) {
		conn := New(serverConfig(testkit.ECDSAPair()))
		err := conn.Handshake(context.Background(), func([]byte) ([]byte, error) {
			n, ok := codec.TLSRecord(in)
			if !ok || n == 0 {
				return nil, io.ErrUnexpectedEOF
			}
			record := in[:n]
			in = in[n:]
			return record, nil
		})
		if err == nil {
			t.Fatal("a handshake without secrets succeeded")
		}
		conn.Close(conn.Flush(nil))
	})
}

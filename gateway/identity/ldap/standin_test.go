package ldap_test

import (
	"bufio"
	"encoding/asn1"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/internal/testkit"
)

// request is a message of a client.
type request struct {
	ID     int
	Op     asn1.RawValue
	Dialog *standIn
	number int // of the request in its connection, from 0
}

// Operations of requests (RFC 4511).
const (
	bindOp     = 0
	unbindOp   = 2
	searchOp   = 3
	extendedOp = 23
)

// name returns the entry of a bind, or the base of a search.
func (r *request) name() string {
	var version int
	var name []byte
	rest := r.Op.Bytes
	if r.Op.Tag == bindOp {
		rest, _ = asn1.Unmarshal(rest, &version)
	}
	_, _ = asn1.Unmarshal(rest, &name)
	return string(name)
}

// standIn is a server that answers as a test wants it to.
type standIn struct {
	address string
	open    atomic.Int64 // connections
	count   atomic.Int64 // requests
	names   chan string  // of the requests
	ended   chan bool    // closed when the test ends
}

// startStandIn starts a server that calls answer for each request. It closes a connection
// for which answer returns false.
func startStandIn(t *testing.T, answer func(out io.Writer, r request) bool) *standIn {
	return startRaw(t, func(s *standIn, conn net.Conn) {
		in := bufio.NewReader(conn)
		for n := 0; ; n++ {
			r, err := readRequest(in)
			if err != nil || r.Op.Tag == unbindOp {
				return
			}
			r.Dialog, r.number = s, n
			s.count.Add(1)
			select {
			case s.names <- r.name():
			default:
			}
			if !answer(conn, r) {
				return
			}
		}
	})
}

// startRaw starts a server that calls serve for each connection and closes it then.
func startRaw(t *testing.T, serve func(s *standIn, conn net.Conn)) *standIn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &standIn{address: l.Addr().String(), names: make(chan string, 100), ended: make(chan bool)}
	var all sync.WaitGroup
	all.Add(1)
	go func() {
		defer all.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.open.Add(1)
			all.Add(1)
			go func() {
				defer all.Done()
				defer s.open.Add(-1)
				defer conn.Close()
				serve(s, conn)
			}()
		}
	}()
	t.Cleanup(func() { close(s.ended); l.Close(); all.Wait() })
	return s
}

// readRequest reads a message of a client, which is in DER.
func readRequest(in *bufio.Reader) (r request, err error) {
	header, err := in.Peek(2)
	if err != nil {
		return r, err
	}
	size := 2 + int(header[1])
	if header[1] >= 0x80 {
		n := int(header[1] & 0x7f)
		if header, err = in.Peek(2 + n); err != nil {
			return r, err
		}
		size = 0
		for _, b := range header[2:] {
			size = size<<8 | int(b)
		}
		size += 2 + n
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(in, text); err != nil {
		return r, err
	}
	var envelope struct {
		ID       int
		Op       asn1.RawValue
		Controls asn1.RawValue `asn1:"optional,tag:0"`
	}
	_, err = asn1.Unmarshal(text, &envelope)
	return request{ID: envelope.ID, Op: envelope.Op}, err
}

// tlv returns an element as Active Directory writes it: with four bytes of length.
func tlv(tag byte, parts ...[]byte) []byte {
	var content []byte
	for _, p := range parts {
		content = append(content, p...)
	}
	n := len(content)
	return append([]byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, content...)
}

func number(tag byte, n int) []byte { return tlv(tag, []byte{byte(n >> 8), byte(n)}) }

// resultOf returns a message with a result. op is that of the answer.
func resultOf(id int, op byte, code int, diagnostic string) []byte {
	return tlv(0x30, number(2, id), tlv(op, number(10, code), tlv(4), tlv(4, []byte(diagnostic))))
}

// entryOf returns a message with an entry that has values of mail.
func entryOf(id int, dn string, values ...string) []byte {
	var set []byte
	for _, v := range values {
		set = append(set, tlv(4, []byte(v))...)
	}
	return tlv(0x30, number(2, id), tlv(0x64, tlv(4, []byte(dn)), tlv(0x30, tlv(0x30, tlv(4, []byte("mail")), tlv(0x31, set)))))
}

// Operations of answers.
const (
	bound    = 0x61
	done     = 0x65
	extended = 0x78
)

// orderly answers as a directory with one user does, whose password is right.
func orderly(out io.Writer, r request) bool {
	switch r.Op.Tag {
	case bindOp:
		write(out, resultOf(r.ID, bound, 0, ""))
	case searchOp:
		write(out, entryOf(r.ID, "cn=alice,dc=example,dc=net", "alice@example.net"), resultOf(r.ID, done, 0, ""))
	default:
		write(out, resultOf(r.ID, extended, 2, "unsupported"))
	}
	return true
}

func write(out io.Writer, messages ...[]byte) {
	for _, m := range messages {
		_, _ = out.Write(m)
	}
}

// allClosed waits until nobody is connected to the server.
func (s *standIn) allClosed(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, "all connections are closed", func() bool { return s.open.Load() == 0 })
}

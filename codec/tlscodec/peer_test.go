package tlscodec

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"sluice/codec"
	"sluice/internal/testkit"
)

// versions and keys are what sessions are tried with.
var (
	versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
	keys     = map[string]func() tls.Certificate{"ECDSA": testkit.ECDSAPair, "RSA": testkit.RSAPair}
)

func serverConfig(pair tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}

func clientConfig(version uint16) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: "mx.example.net", MinVersion: version, MaxVersion: version}
}

// server is a blocking server on the record layer: what a driver does, for one connection.
type server struct {
	conn  net.Conn
	codec *Conn
	in    []byte         // not whole yet
	chunk func() int     // the most that is read at a time
	seen  func(n, m int) // told of the records of each exchange: how many, with how many octets
}

func newServer(conn net.Conn, config *tls.Config) *server {
	return &server{conn: conn, codec: New(config), chunk: func() int { return 1 << 16 }}
}

var errNoRecord = errors.New("no record")

// records returns the whole records that have come, at most limit, and waits for the first.
func (s *server) records(limit int) ([]byte, error) {
	for {
		total, count := 0, 0
		for count < limit {
			n, ok := codec.TLSRecord(s.in[total:])
			if !ok && total == 0 {
				return nil, errNoRecord
			}
			if n == 0 {
				break
			}
			total, count = total+n, count+1
		}
		if total > 0 {
			whole := bytes.Clone(s.in[:total])
			s.in = append(s.in[:0], s.in[total:]...)
			if s.seen != nil {
				s.seen(count, total)
			}
			return whole, nil
		}
		part := make([]byte, s.chunk())
		n, err := s.conn.Read(part)
		s.in = append(s.in, part[:n]...)
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

func (s *server) write(p []byte) error {
	_, err := s.conn.Write(p)
	return err
}

func (s *server) handshake() error {
	err := s.codec.Handshake(context.Background(), func(out []byte) ([]byte, error) {
		if err := s.write(out); err != nil {
			return nil, err
		}
		return s.records(100)
	})
	return errors.Join(err, s.write(s.codec.Flush(nil)))
}

// serve runs a session: it seals what answer makes of each text, until the peer has said
// close_notify. It returns nil then.
func (s *server) serve(answer func(text []byte) []byte) error {
	if err := s.handshake(); err != nil {
		return err
	}
	text, err := s.codec.Open(nil, nil)
	for {
		if err == nil || errors.Is(err, io.EOF) {
			if err := s.write(s.codec.Seal(nil, answer(text))); err != nil {
				return err
			}
		}
		if err != nil {
			last := s.write(s.codec.Close(nil))
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return errors.Join(err, last)
		}
		record, readErr := s.records(1)
		if readErr != nil {
			return readErr
		}
		text, err = s.codec.Open(text[:0], record)
	}
}

func echo(text []byte) []byte { return text }

// link returns both ends of a connection, which end with the test.
func link(t testing.TB) (client, server net.Conn) {
	client, end := net.Pipe()
	server = newEager(end)
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	for _, end := range []net.Conn{client, server} {
		_ = end.SetDeadline(time.Now().Add(time.Minute))
	}
	return client, server
}

// eager is a connection to which writes do not wait for the reader, as the kernel's buffers
// have it: both ends of a handshake write at the same time.
type eager struct {
	net.Conn
	queue chan []byte
	ended chan struct{}
	once  sync.Once
}

func newEager(conn net.Conn) *eager {
	e := &eager{Conn: conn, queue: make(chan []byte, 1<<12), ended: make(chan struct{})}
	go func() {
		for {
			select {
			case p := <-e.queue:
				_, _ = conn.Write(p)
			case <-e.ended:
				return
			}
		}
	}()
	return e
}

func (e *eager) Write(p []byte) (int, error) {
	select {
	case e.queue <- bytes.Clone(p):
		return len(p), nil
	case <-e.ended:
		return 0, net.ErrClosed
	}
}

func (e *eager) Close() error {
	e.once.Do(func() { close(e.ended) })
	return e.Conn.Close()
}

// tap is a connection whose output can be diverted.
type tap struct {
	net.Conn
	to *bytes.Buffer // nil: the peer
}

func (t *tap) Write(p []byte) (int, error) {
	if t.to != nil {
		return t.to.Write(p)
	}
	return t.Conn.Write(p)
}

// pair is both ends of a connection after their handshake. What the client writes goes to
// wire.
type pair struct {
	server *Conn
	client *tls.Conn
	wire   *bytes.Buffer
	back   net.Conn // what is written here is read by the client
}

func shaken(t testing.TB, ours, theirs *tls.Config) *pair {
	t.Helper()
	ours = ours.Clone()
	ours.SessionTicketsDisabled = true // nobody reads what the server sends at the end
	left, right := link(t)
	wire := &tap{Conn: left}
	client, served := tls.Client(wire, theirs), newServer(right, ours)
	done := make(chan error, 1)
	go func() { done <- served.handshake() }()
	err := client.Handshake()
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	wire.to = &bytes.Buffer{}
	return &pair{served.codec, client, wire.to, right}
}

// send has the client send a text and returns its records.
func (p *pair) send(t testing.TB, text []byte) [][]byte {
	t.Helper()
	p.wire.Reset()
	if _, err := p.client.Write(text); err != nil {
		t.Fatal(err)
	}
	return split(t, bytes.Clone(p.wire.Bytes()))
}

// read has the client read what is on the wire.
func (p *pair) read(wire []byte) (text string, err error) {
	_, _ = p.back.Write(wire)
	read := make([]byte, 1<<15)
	n, err := p.client.Read(read)
	return string(read[:n]), err
}

// split returns the records in wire.
func split(t testing.TB, wire []byte) (records [][]byte) {
	t.Helper()
	for len(wire) > 0 {
		n, ok := codec.TLSRecord(wire)
		if !ok || n == 0 {
			t.Fatalf("no record in %x", wire)
		}
		records, wire = append(records, wire[:n:n]), wire[n:]
	}
	return records
}

func randomText(rng *mathrand.Rand, n int) []byte {
	text := make([]byte, n)
	for i := range text {
		text[i] = byte(rng.Uint32())
	}
	return text
}

// withAndWithoutLending runs a test both ways.
func withAndWithoutLending(t *testing.T, test func(t *testing.T)) {
	t.Run("lent", func(t *testing.T) {
		if !lending {
			t.Fatal("the buffers of tls.Conn are not where they were")
		}
		test(t)
	})
	t.Run("kept", func(t *testing.T) {
		lending = false
		defer func() { lending = true }()
		test(t)
	})
}

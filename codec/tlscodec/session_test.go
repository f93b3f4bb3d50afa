package tlscodec

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/internal/testkit"
)

// TestSessions has clients of crypto/tls send texts of many sizes, in pieces of many sizes,
// and get them back, twice: the second session resumes the first.
func TestSessions(t *testing.T) {
	before := runtime.NumGoroutine()
	withAndWithoutLending(t, func(t *testing.T) {
		for version, number := range versions {
			for kind, pair := range keys {
				t.Run(version+kind, func(t *testing.T) {
					theirs, ours := clientConfig(number), serverConfig(pair())
					theirs.ClientSessionCache = tls.NewLRUClientSessionCache(1)
					for i, resumed := range []bool{false, true} {
						state := session(t, theirs, ours, rand.New(rand.NewPCG(uint64(i), uint64(number))))
						if state.DidResume != resumed || state.Version != number || state.ServerName != theirs.ServerName {
							t.Errorf("resumed %t, version %x, server name %q", state.DidResume, state.Version, state.ServerName)
						}
					}
				})
			}
		}
	})
	testkit.Eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

// session runs one session and returns what the server knows of it.
func session(t *testing.T, theirs, ours *tls.Config, rng *rand.Rand) tls.ConnectionState {
	t.Helper()
	left, right := link(t)
	texts := rand.New(rand.NewPCG(rng.Uint64(), 0)) // for another goroutine
	s := newServer(right, ours)
	s.chunk = func() int { return 1 + rng.IntN(1<<rng.IntN(16)) }
	served := make(chan error, 1)
	go func() { served <- s.serve(echo) }()

	text := randomText(texts, 150_000+texts.IntN(50_000))
	client := tls.Client(left, theirs)
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		rest, err := text, error(nil)
		for len(rest) > 0 && err == nil {
			n := min(1+texts.IntN(1<<texts.IntN(16)), len(rest))
			_, err = client.Write(rest[:n])
			rest = rest[n:]
		}
		sent <- errors.Join(err, client.CloseWrite())
	}()
	got, err := io.ReadAll(client)
	if err := errors.Join(err, <-sent, <-served); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, text) {
		t.Errorf("%d octets came back, not the %d that were sent", len(got), len(text))
	}
	return s.codec.State()
}

// TestInputBehindFinished has a client send its Finished, text and close_notify at once.
func TestInputBehindFinished(t *testing.T) {
	withAndWithoutLending(t, func(t *testing.T) {
		left, right := link(t)
		wire := &corked{tap: tap{Conn: left}}
		s, records := newServer(right, serverConfig(testkit.ECDSAPair())), 0
		s.seen = func(n, _ int) { records = n }
		text := strings.Repeat("EHLO example.com\r\n", 2000)
		var got []byte
		served := make(chan error, 1)
		go func() {
			served <- s.serve(func(text []byte) []byte { got = append(got, text...); return nil })
		}()
		client := tls.Client(wire, clientConfig(tls.VersionTLS13))
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		_, err := io.WriteString(client, text)
		if err := errors.Join(err, client.CloseWrite()); err != nil {
			t.Fatal(err)
		}
		_ = left.SetDeadline(time.Now().Add(time.Minute)) // CloseWrite has set another
		if _, err := left.Write(wire.to.Bytes()); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(client); err != nil {
			t.Fatal(err)
		}
		if err := <-served; err != nil {
			t.Fatal(err)
		}
		if string(got) != text || records < 5 {
			t.Errorf("%d octets of %d came, the last flight had %d records", len(got), len(text), records)
		}
	})
}

// corked holds back all but the first write.
type corked struct {
	tap
	begun bool
}

func (c *corked) Write(p []byte) (int, error) {
	defer func() {
		if !c.begun {
			c.begun, c.to = true, &bytes.Buffer{}
		}
	}()
	return c.tap.Write(p)
}

func TestCloseNotify(t *testing.T) {
	p := shaken(t, serverConfig(testkit.ECDSAPair()), clientConfig(tls.VersionTLS13))
	quit := p.send(t, []byte("QUIT\r\n"))[0]
	p.wire.Reset()
	_ = p.client.CloseWrite()
	if text, err := p.server.Open(nil, quit); string(text) != "QUIT\r\n" || err != nil {
		t.Fatalf("got %q, %v", text, err)
	}
	for range 2 {
		text, err := p.server.Open(nil, p.wire.Bytes())
		if len(text) != 0 || !errors.Is(err, io.EOF) {
			t.Fatalf("got %q, %v behind close_notify", text, err)
		}
	}
	// The other half is open until it is closed as well.
	sealed := p.server.Seal([]byte("before"), []byte("221 Bye\r\n"))
	closing := p.server.Close(nil)
	if text, err := p.read(sealed[len("before"):]); text != "221 Bye\r\n" || err != nil {
		t.Fatalf("the client read %q, %v", text, err)
	}
	if _, err := p.read(closing); !errors.Is(err, io.EOF) {
		t.Fatalf("the client read %v behind close_notify", err)
	}
	if more := p.server.Close(p.server.Seal(nil, []byte("more"))); len(more) != 0 {
		t.Fatalf("%x behind close_notify", more)
	}
}

// TestAlertsAreSent has records that cannot be opened: the peer gets an alert once, no text
// behind it, and every further call has the same error.
func TestAlertsAreSent(t *testing.T) {
	for version, number := range versions {
		t.Run(version, func(t *testing.T) {
			p := shaken(t, serverConfig(testkit.ECDSAPair()), clientConfig(number))
			good := p.send(t, []byte("NOOP\r\n"))[0]
			bad := bytes.Clone(good)
			bad[len(bad)-1] ^= 1
			text, err := p.server.Open([]byte("kept"), bad)
			if string(text) != "kept" || err == nil {
				t.Fatalf("got %q, %v", text, err)
			}
			if _, again := p.server.Open(nil, good); !errors.Is(again, err) {
				t.Fatalf("first %v, then %v", err, again)
			}
			alert := p.server.Seal(nil, []byte("500 what?\r\n"))
			if len(alert) != recordLen(alert) {
				t.Fatalf("%x is not one record", alert)
			}
			if more := p.server.Close(p.server.Flush(nil)); len(more) != 0 {
				t.Fatalf("%x behind the alert", more)
			}
			if _, err := p.read(alert); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
				t.Fatalf("the client read %v", err)
			}
		})
	}
}

// TestHandshakeEnds has handshakes that end by the exchange, by the context and by what
// the peer sent.
func TestHandshakeEnds(t *testing.T) {
	gone := errors.New("gone")
	hello := clientHello(t, clientConfig(tls.VersionTLS13))
	t.Run("exchange", func(t *testing.T) {
		conn, calls := New(serverConfig(testkit.ECDSAPair())), 0
		err := conn.Handshake(context.Background(), func(out []byte) ([]byte, error) {
			if calls++; calls == 1 {
				return hello, nil
			}
			if len(out) == 0 {
				t.Error("there was no answer to the hello")
			}
			return nil, gone
		})
		if !errors.Is(err, gone) || calls != 2 {
			t.Errorf("got %v after %d calls", err, calls)
		}
		if _, err := conn.Open(nil, hello); !errors.Is(err, gone) {
			t.Errorf("got %v behind a handshake that failed", err)
		}
	})
	t.Run("no input", func(t *testing.T) {
		err := New(serverConfig(testkit.ECDSAPair())).Handshake(context.Background(), func([]byte) ([]byte, error) { return nil, nil })
		if !errors.Is(err, io.EOF) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		err := New(serverConfig(testkit.ECDSAPair())).Handshake(ctx, func([]byte) ([]byte, error) {
			cancel()
			return nil, ctx.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("alert", func(t *testing.T) {
		conn := New(serverConfig(testkit.ECDSAPair()))
		calls := 0
		err := conn.Handshake(context.Background(), func([]byte) ([]byte, error) {
			if calls++; calls == 1 {
				return clientHello(t, clientConfig(tls.VersionTLS12)), nil
			}
			return []byte{0x15, 3, 3, 0, 2, 2, 42}, nil // bad_certificate
		})
		if err == nil || !strings.Contains(err.Error(), "bad certificate") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no shared version", func(t *testing.T) {
		ours := serverConfig(testkit.ECDSAPair())
		ours.MinVersion = tls.VersionTLS13
		conn := New(ours)
		err := conn.Handshake(context.Background(), func([]byte) ([]byte, error) {
			return clientHello(t, clientConfig(tls.VersionTLS12)), nil
		})
		if alert := conn.Flush(nil); err == nil || !bytes.Equal(alert, []byte{0x15, 3, 1, 0, 2, 2, 70}) && !bytes.Equal(alert, []byte{0x15, 3, 3, 0, 2, 2, 70}) {
			t.Errorf("got %v and the alert %x", err, alert)
		}
	})
}

// clientHello returns the first flight of a client.
func clientHello(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	left, right := link(t)
	go func() { _ = tls.Client(left, config).Handshake() }()
	hello, err := newServer(right, serverConfig(testkit.ECDSAPair())).records(1)
	if err != nil {
		t.Fatal(err)
	}
	return hello
}

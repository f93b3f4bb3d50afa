package driver

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sluice/gateway/session"
	"sluice/internal/toytls"
	"sluice/pipeline"
)

// toySecurity implements Security with a toy. Its handshakes compute in no time, unless
// they are held.
type toySecurity struct {
	full bool // there is room for none
	most int  // handshakes beyond this are a surplus
	held bool
	open int // begun and not done
	away []*Handshake

	dropped []*Handshake // while they were away
}

func (s *toySecurity) Room(netip.Addr) bool { return !s.full }

func (s *toySecurity) Surplus() (surplus, begun int) { return max(s.open-s.most, 0), s.open }

func (s *toySecurity) Begin(h *Handshake) bool {
	if s.full {
		return false
	}
	s.open++
	h.Private = &toytls.Server{}
	s.Continue(h)
	return true
}

func (s *toySecurity) Continue(h *Handshake) {
	if s.away = append(s.away, h); !s.held {
		s.release()
	}
}

func (s *toySecurity) Drop(h *Handshake) { s.dropped = append(s.dropped, h) }

// release computes what is held.
func (s *toySecurity) release() {
	for _, h := range s.away {
		if h.Gone {
			h.Done, h.Cause = true, TLSGone
		} else {
			out, layer, err := h.Private.(*toytls.Server).Take(h.In)
			h.Out = out
			switch {
			case err != nil:
				h.Done, h.Cause, h.Err = true, TLSProtocol, err
			case layer != nil:
				h.Done, h.Records = true, layer
				h.About = &pipeline.TLS{Version: "TLSv1.3", Cipher: "TOY", Group: "toy"}
			}
		}
		if h.Done {
			s.open--
		}
		h.Home.Post(&h.Task)
	}
	s.away = nil
}

// tlsWorld is a world whose listener offers TLS by policy, or has it come first.
func tlsWorld(t testing.TB, policy session.TLSPolicy, implicit bool) (*world, *toySecurity) {
	o, security := testOptions(), &toySecurity{most: math.MaxInt}
	o.Settings.SetTLS(policy)
	o.Generation.Timeouts.Handshake = 30 * time.Second
	o.Security, o.ImplicitTLS = security, implicit
	return newWorld(t, o), security
}

// tlsClient is a client that speaks TLS on a socket.
type tlsClient struct {
	*memorySocket
	t   testing.TB
	toy *toytls.Client
	end error // what ended its input
}

// shake begins TLS on a socket and completes the handshake.
func (s *memorySocket) shake() *tlsClient {
	toy, hello := toytls.NewClient(7)
	c := &tlsClient{s, s.w.t, toy, nil}
	s.send(string(hello))
	c.hears()
	return c
}

// says sends text in one record.
func (c *tlsClient) says(text string) { c.send(string(c.toy.Seal(nil, []byte(text)))) }

// hears returns the text that has come.
func (c *tlsClient) hears() string {
	text, out, err := c.toy.Take([]byte(c.hear()))
	if err != nil {
		c.end = err
	}
	if len(out) > 0 && !c.closed {
		c.send(string(out))
		more := c.hears()
		return string(text) + more
	}
	return string(text)
}

func wants(t *testing.T, got string, prefixes ...string) {
	t.Helper()
	lines := strings.SplitAfter(got, "\r\n")
	for i, want := range prefixes {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("got %q, want %q", got, prefixes)
		}
	}
	if n := len(lines) - 1; n != len(prefixes) {
		t.Fatalf("got %d lines %q, want %q", n, got, prefixes)
	}
}

// STARTTLS begins TLS, and the session anew.
func TestStartTLS(t *testing.T) {
	w, _ := tlsWorld(t, session.TLSPolicy{Offered: true, RequireTLS: true}, false)
	s := w.connect()
	s.send(ehlo)
	if got := s.hear(); !strings.Contains(got, "STARTTLS\r\n") || strings.Contains(got, "REQUIRETLS") {
		t.Fatalf("offered: %q", got)
	}
	s.send("STARTTLS\r\n")
	wants(t, s.hear(), "220 2.0.0")
	c := s.shake()
	c.says("MAIL FROM:<a@example.com>\r\n")
	wants(t, c.hears(), "503 ")
	c.says(ehlo)
	if got := c.hears(); strings.Contains(got, "STARTTLS") || !strings.Contains(got, "REQUIRETLS\r\n") {
		t.Fatalf("offered under TLS: %q", got)
	}
	c.says("STARTTLS\r\nMAIL FROM:<a@example.com> REQUIRETLS\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
	wants(t, c.hears(), "503 ", "250 ", "250 ", "354 ")
	c.says("Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n")
	wants(t, c.hears(), "250 2.0.0", "221 ")
	if !errors.Is(c.end, io.EOF) || !s.closed {
		t.Errorf("ended by %v, closed: %t", c.end, s.closed)
	}
	if got := string(w.store.puts[0]); !strings.Contains(got, "with ESMTPS id ") || !strings.Contains(got, "\r\n\ttls TOY;\r\n") {
		t.Errorf("stored %q", got)
	}
	if w.seen.tls["TLSv1.3"] != 1 {
		t.Errorf("counted: %v", w.seen.tls)
	}
	w.clean()
}

// What stands behind STARTTLS was said without protection.
func TestInputBehindStartTLS(t *testing.T) {
	for name, behind := range map[string]string{"a command": "NOOP\r\n", "a hello": "\x16\x03\x01\x00\x01a", "a byte": "R"} {
		t.Run(name, func(t *testing.T) {
			w, _ := tlsWorld(t, session.TLSPolicy{Offered: true}, false)
			s := w.connect()
			s.send(ehlo)
			s.hear()
			s.send("STARTTLS\r\n" + behind)
			wants(t, s.hear(), "501 5.5.4")
			w.advance(3 * time.Second)
			if !s.closed {
				t.Error("goes on")
			}
			w.clean()
		})
	}
	t.Run("in the kernel", func(t *testing.T) {
		w, _ := tlsWorld(t, session.TLSPolicy{Offered: true}, false)
		s := w.connect()
		s.send(ehlo + "STARTTLS\r\n")
		s.hear()
		s.send("MAIL FROM:<a@example.com>\r\n")
		if got := s.hear(); got != "" || !s.closed || w.seen.tls["protocol"] != 1 {
			t.Errorf("got %q, closed: %t, counted %v", got, s.closed, w.seen.tls)
		}
		w.clean()
	})
}

// Where TLS is required, nothing is said of mail before it.
func TestTLSRequired(t *testing.T) {
	w, security := tlsWorld(t, session.TLSPolicy{Offered: true, Required: true}, false)
	s := w.connect()
	s.hear()
	s.send("HELO a.example.com\r\n" + ehlo)
	if got := s.hear(); !strings.HasPrefix(got, "530 ") {
		t.Errorf("HELO: %q", got)
	}
	s.send("MAIL FROM:<a@example.com>\r\nVRFY a\r\nNOOP\r\n")
	wants(t, s.hear(), "530 5.7.0", "530 5.7.0", "250 ")
	security.full = true
	s.send("STARTTLS\r\n")
	wants(t, s.hear(), "454 4.7.0")
	security.full = false
	s.send("STARTTLS\r\n")
	s.hear()
	c := s.shake()
	c.says(ehlo + "MAIL FROM:<a@example.com>\r\n")
	if got := c.hears(); !strings.Contains(got, "\r\n250 2.1.0") {
		t.Errorf("got %q", got)
	}
	s.gone()
	w.clean()
}

// A dialog under TLS has the same replies whatever the records and reads are.
func TestTLSAtAnySplit(t *testing.T) {
	const dialog = ehlo + "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\nSubject: x\r\n\r\nhello\r\n..\r\n.\r\n" +
		"RSET\r\nNOOP\r\nMAIL FROM:<c@example.com>\r\nRCPT TO:<d@example.net>\r\nDATA\r\nSubject: y\r\n\r\n.\r\nQUIT\r\n"
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		w, security := tlsWorld(t, session.TLSPolicy{}, true)
		security.held = true
		s := w.connect()
		toy, wire := toytls.NewClient(byte(random.Uint32()))
		_, finished, err := toy.Take([]byte("\x16\x03\x03\x00\x0cserver hello"))
		if err != nil {
			t.Fatal(err)
		}
		wire = append(wire, finished...)
		for left := dialog; left != ""; {
			n := 1 + random.IntN(min(len(left), 40))
			if wire = toy.Seal(wire, []byte(left[:n])); random.IntN(8) == 0 {
				wire = toy.Update(wire)
			}
			left = left[n:]
		}
		wire = toy.Close(wire)
		var heard []byte
		for len(wire) > 0 && !s.closed {
			n := 1 + random.IntN(min(len(wire), 100))
			s.send(string(wire[:n]))
			wire = wire[n:]
			if random.IntN(3) == 0 {
				security.release()
				w.settle()
			}
		}
		security.held = false
		security.release()
		w.settle()
		heard = append(heard, s.hear()...)
		text, _, err := toy.Take(bytes.TrimPrefix(heard, []byte("\x16\x03\x03\x00\x0cserver hello")))
		if !errors.Is(err, io.EOF) {
			t.Fatalf("ended by %v", err)
		}
		var codes []string
		for line := range strings.Lines(string(text)) {
			if line[3] == ' ' {
				codes = append(codes, line[:3])
			}
		}
		if got := strings.Join(codes, " "); got != "220 250 250 250 354 250 250 250 250 250 354 250 221" {
			t.Fatalf("%s: %q", got, text)
		}
		if !s.closed || w.store.in[0] != "Subject: x\r\n\r\nhello\r\n.\r\n" {
			t.Fatalf("closed: %t, stored %q", s.closed, w.store.in)
		}
		w.clean()
	}
}

// A session that waits carries its records as they came, and at most one of them opened.
func TestTLSPaused(t *testing.T) {
	w, _ := tlsWorld(t, session.TLSPolicy{}, true)
	c := w.connect().shake()
	w.store.hold = true
	body := largeText(100 << 10)
	c.says(ehlo + "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
	c.hears()
	c.says(body + ".\r\n" + strings.Repeat("NOOP\r\n", 5000))
	if !c.paused {
		t.Fatal("reads on while its message is stored")
	}
	if n := len(c.conn.tls.text); n == 0 || n > 16<<10 {
		t.Errorf("%d bytes of text are carried", n)
	}
	if got, want := w.shared.Budget.Used(), int64(len(c.in)+len(c.conn.tls.text)); got < want {
		t.Errorf("%d bytes are paid, %d carried", got, want)
	}
	w.store.hold = false
	w.store.release()
	w.settle()
	got := c.hears()
	if n := strings.Count(got, "250 2.0.0 Ok\r\n"); !strings.HasPrefix(got, "250 2.0.0 Ok 0") || n < 50 {
		t.Errorf("%d replies behind the message: %.200q", n, got)
	}
	if w.store.in[0] != body {
		t.Error("stored something else")
	}
	c.gone()
	w.clean()
}

// close_notify behind the final dot ends the input, not the session.
func TestTLSHalfClose(t *testing.T) {
	for _, fin := range []bool{false, true} {
		w, _ := tlsWorld(t, session.TLSPolicy{}, true)
		c := w.connect().shake()
		c.says(ehlo + "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
		c.hears()
		w.store.hold = true
		c.send(string(c.toy.Close(c.toy.Seal(nil, []byte("Subject: x\r\n\r\n.\r\n")))))
		if fin {
			if !w.loop.Owes(&c.conn) {
				t.Fatal("owes no reply")
			}
			c.ended = true
			w.loop.InputEnded(&c.conn)
		}
		w.store.release()
		w.settle()
		if got := c.hears(); !strings.HasPrefix(got, "250 2.0.0") || !errors.Is(c.end, io.EOF) || !c.closed {
			t.Errorf("FIN %t: got %q, ended by %v, closed: %t", fin, got, c.end, c.closed)
		}
		w.clean()
	}
}

// A record that was changed on the way ends the session with an alert.
func TestTLSBrokenRecord(t *testing.T) {
	for name, spoil := range map[string]func(record, next []byte) []byte{
		"changed": func(r, _ []byte) []byte { r[len(r)-2] ^= 1; return r },
		"twice":   func(r, _ []byte) []byte { return append(r, r...) },
		"order":   func(r, next []byte) []byte { return append(next, r...) },
		"type":    func(r, _ []byte) []byte { r[0] = 22; return r },
		"no TLS":  func([]byte, []byte) []byte { return []byte("QUIT\r\n") },
		"long":    func([]byte, []byte) []byte { return []byte{23, 3, 3, 255, 255} },
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := tlsWorld(t, session.TLSPolicy{}, true)
			c := w.connect().shake()
			record := c.toy.Seal(nil, []byte(ehlo))
			next := c.toy.Seal(nil, []byte("NOOP\r\n"))
			c.send(string(spoil(record, next)))
			if c.hears(); name != "no TLS" && name != "long" && !errors.Is(c.end, toytls.ErrAlert) { // those are no records
				t.Errorf("ended by %v", c.end)
			}
			if !c.closed || w.seen.tls["record"] != 1 || w.seen.closed["tls"] != 1 {
				t.Errorf("closed: %t, counted %v, %v", c.closed, w.seen.tls, w.seen.closed)
			}
			if last := w.seen.refusals[len(w.seen.refusals)-1]; last.Cause != "tls_record" || last.Err == nil {
				t.Errorf("logged %+v", last)
			}
			w.clean()
		})
	}
}

// Handshakes that fail are closed, counted and logged, each with its cause.
func TestHandshakeFails(t *testing.T) {
	_, hello := toytls.NewClient(1)
	for name, test := range map[string]struct {
		happens func(w *world, s *memorySocket, security *toySecurity)
		cause   string // empty for nothing to tell of
	}{
		"silent": {func(w *world, _ *memorySocket, _ *toySecurity) { w.advance(31 * time.Second) }, "timeout"},
		"half a hello": {func(w *world, s *memorySocket, _ *toySecurity) {
			s.send(string(hello[:9]))
			w.advance(31 * time.Second)
		}, "timeout"},
		"half a handshake": {func(w *world, s *memorySocket, _ *toySecurity) {
			s.send(string(hello))
			w.advance(31 * time.Second)
		}, "timeout"},
		"one that computes too long": {func(w *world, s *memorySocket, security *toySecurity) {
			security.held = true
			s.send(string(hello))
			w.advance(31 * time.Second)
			if !s.closed || len(security.dropped) != 1 {
				t.Errorf("closed: %t, dropped %d", s.closed, len(security.dropped))
			}
			security.held = false
			security.release()
			w.settle()
		}, "timeout"},
		"deaf": {func(w *world, s *memorySocket, _ *toySecurity) {
			s.room = 3
			s.send(string(hello))
			w.advance(31 * time.Second)
		}, "timeout"},
		"SMTP":  {func(_ *world, s *memorySocket, _ *toySecurity) { s.send(ehlo) }, "protocol"},
		"wrong": {func(_ *world, s *memorySocket, _ *toySecurity) { s.send("\x16\x03\x01\x00\x01a") }, "protocol"},
		"gone": {func(_ *world, s *memorySocket, _ *toySecurity) {
			s.send(string(hello))
			s.gone()
		}, "gone"},
		"gone while it computes": {func(w *world, s *memorySocket, security *toySecurity) {
			security.held = true
			s.send(string(hello))
			s.gone()
			security.held = false
			security.release()
			w.settle()
		}, "gone"},
		"gone with half a hello": {func(_ *world, s *memorySocket, _ *toySecurity) {
			s.send(string(hello[:9]))
			s.in = nil // as behind the end of a connection
			s.gone()
		}, "gone"},
		"gone as it is answered": {func(w *world, s *memorySocket, security *toySecurity) {
			security.held = true
			s.send(string(hello))
			s.err = errScripted // not noticed yet
			security.held = false
			security.release()
			w.settle()
		}, "gone"},
		"gone before the alert": {func(w *world, s *memorySocket, security *toySecurity) {
			security.held = true
			s.send("\x16\x03\x01\x00\x01a")
			s.err = errScripted
			security.held = false
			security.release()
			w.settle()
		}, "protocol"},
		"gone, with an answer half sent": {func(w *world, s *memorySocket, _ *toySecurity) {
			s.room = 3
			s.send(string(hello))
			s.err = errScripted
			w.advance(31 * time.Second)
		}, "gone"},
		"half-closed": {func(w *world, s *memorySocket, security *toySecurity) {
			security.held = true
			s.send(string(hello))
			s.ended = true
			w.loop.InputEnded(&s.conn)
			security.held = false
			security.release()
			w.settle()
		}, "gone"},
		"no room": {func(_ *world, s *memorySocket, security *toySecurity) {
			security.full = true
			s.send(string(hello))
		}, "busy"},
		"much while it computes, and no descriptor": {func(w *world, s *memorySocket, security *toySecurity) {
			security.held, s.noPause = true, errors.New("no descriptor")
			s.send(string(hello) + strings.Repeat("x", 5000))
			security.held = false
			security.release()
			w.settle()
		}, "busy"},
		"health check": {func(_ *world, s *memorySocket, _ *toySecurity) { s.gone() }, ""},
		"drained in the handshake": {func(w *world, s *memorySocket, _ *toySecurity) {
			s.send(string(hello))
			w.shared.Refuse()
			w.advance(time.Second)
		}, "draining"},
		"drained": {func(w *world, s *memorySocket, _ *toySecurity) {
			w.shared.Refuse()
			w.advance(time.Second)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, security := tlsWorld(t, session.TLSPolicy{}, true)
			s := w.connect()
			test.happens(w, s, security)
			if !s.closed {
				t.Error("goes on")
			}
			if test.cause != "" && (w.seen.tls[test.cause] != 1 || len(w.seen.refusals) != 1 || w.seen.refusals[0].Cause != "tls_"+test.cause) {
				t.Errorf("counted %v, logged %+v", w.seen.tls, w.seen.refusals)
			}
			if test.cause == "" && (len(w.seen.tls) > 0 || len(w.seen.refusals) > 0) {
				t.Errorf("counted %v, logged %+v", w.seen.tls, w.seen.refusals)
			}
			w.clean()
		})
	}
}

// TestHandshakesDisplaced has more handshakes wait for their peers than may: those that
// have waited longest end, once they have had their time.
func TestHandshakesDisplaced(t *testing.T) {
	const most, surplus = 5, 3
	w, security := tlsWorld(t, session.TLSPolicy{}, true)
	security.most = most
	_, hello := toytls.NewClient(1)
	var clients []*memorySocket
	begin := func() {
		s := w.connect()
		s.send(string(hello))
		clients = append(clients, s)
	}
	for range most + surplus {
		begin()
		w.advance(tickLength) // they differ in age
	}
	w.advance(HandshakeGrace - (most+surplus)*tickLength)
	if n := w.seen.tls["displaced"]; n != 0 {
		t.Fatalf("%d were displaced before their time", n)
	}
	w.advance((most + surplus) * tickLength)
	for i, s := range clients {
		if s.closed != (i < surplus) {
			t.Errorf("handshake %d: closed %t", i, s.closed)
		}
	}
	security.held = true // one that computes does not wait for its peer
	clients[surplus].send(string(hello))
	begin()
	w.advance(HandshakeGrace)
	if n := w.seen.tls["displaced"]; n != surplus+1 || clients[surplus].closed || !clients[surplus+1].closed {
		t.Errorf("displaced %d; the one that computes: closed %t; the next: closed %t", n, clients[surplus].closed, clients[surplus+1].closed)
	}
	security.held = false
	security.release()
	w.settle()
	for _, s := range clients {
		s.gone()
	}
	w.clean()
}

// A connection over a limit is closed where TLS comes first: it cannot be told.
func TestImplicitTLSRefuses(t *testing.T) {
	w, _ := tlsWorld(t, session.TLSPolicy{}, true)
	w.shared.Reload(Generation{Timeouts: testTimeouts(), ConnectionsPerIP: 1})
	w.advance(time.Second)
	first, second := w.connect(), w.connect()
	if !second.closed || second.hear() != "" || w.seen.refused["connections_per_ip"] != 1 || len(w.seen.refusals) != 1 {
		t.Errorf("closed: %t, counted %v, logged %v", second.closed, w.seen.refused, w.seen.refusals)
	}
	first.gone()
	w.clean()
}

// The PROXY header comes before TLS, in one piece with it or not.
func TestProxyBeforeTLS(t *testing.T) {
	for _, pieces := range []int{1, 3, 1000} {
		w, _ := tlsWorld(t, session.TLSPolicy{}, true)
		w.listener.Proxy, w.listener.ProxyNetworks = true, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		w.shared.Reload(Generation{Timeouts: Timeouts{Proxy: time.Minute, Handshake: time.Minute, Greeting: time.Minute}})
		w.advance(time.Second)
		s := w.connect()
		toy, hello := toytls.NewClient(9)
		c := &tlsClient{s, t, toy, nil}
		wire := "PROXY TCP4 198.51.100.7 192.0.2.1 1234 465\r\n" + string(hello)
		for n := max(1, len(wire)/pieces); wire != ""; wire = wire[min(n, len(wire)):] {
			s.send(wire[:min(n, len(wire))])
		}
		wants(t, c.hears(), "220 ")
		if got := s.conn.session.Client().String(); got != "198.51.100.7:1234" {
			t.Errorf("the client is %s", got)
		}
		s.gone()
		w.clean()
	}
}

package driver

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sluice/codec"
)

// proxied returns options of a listener that requires a PROXY header.
func proxied() options {
	o := testOptions()
	o.Timeouts.Proxy = 5 * time.Second
	o.Proxy, o.ProxyNetworks = true, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	return o
}

const (
	balancer = "10.0.0.1:40000"
	v1Header = "PROXY TCP4 192.0.2.1 198.51.100.2 4711 25\r\n"
	v2Header = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x67\x00\x19"
	v2Local  = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
	client   = "192.0.2.1:4711" // of v1Header and v2Header
)

// TestProxyHeader sends a header and commands cut at each byte.
func TestProxyHeader(t *testing.T) {
	for name, test := range map[string]struct{ header, client string }{
		"v1":      {v1Header, client},
		"v2":      {v2Header, client},
		"local":   {v2Local, balancer},
		"unknown": {"PROXY UNKNOWN\r\n", balancer},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, proxied())
			input := test.header + "EHLO client.example\r\nQUIT\r\n"
			want := ""
			for cut := range input {
				s := w.connectFrom(balancer)
				s.send(input[:cut])
				if cut < len(test.header) && len(s.out) > 0 {
					t.Fatalf("%q was sent before the header was whole", s.out)
				}
				s.send(input[cut:])
				if got := s.hear(); want == "" {
					want = got
				} else if got != want {
					t.Fatalf("cut at %d: %q, want %q", cut, got, want)
				}
				if got := s.conn.session.Client().String(); got != test.client {
					t.Fatalf("client %s, want %s", got, test.client)
				}
			}
			if !strings.HasPrefix(want, "220 ") || !strings.Contains(want, "\r\n250-") || !strings.Contains(want, "\r\n221 ") {
				t.Fatalf("%q", want)
			}
			if len(w.seen.refusals) > 0 || w.seen.opened != len(input) || w.seen.closed["quit"] != len(input) {
				t.Errorf("%d opened, closed %v, refusals %v", w.seen.opened, w.seen.closed, w.seen.refusals)
			}
			w.clean()
		})
	}
}

// TestProxyRefused: who has no header to show is closed without a byte, counted and
// logged, and never read as a client.
func TestProxyRefused(t *testing.T) {
	for name, test := range map[string]struct {
		from, input string
		then        func(*world, *memorySocket)
		cause       string
	}{
		"from elsewhere": {"192.0.2.9:5", v1Header, nil, "network"},
		"SMTP":           {balancer, "EHLO client.example\r\n", nil, "missing"},
		"malformed":      {balancer, "PROXY TCP4 192.0.2.1\r\nEHLO client.example\r\n", nil, "malformed"},
		"too long":       {balancer, "PROXY UNKNOWN" + strings.Repeat(" x", 100), nil, "too_long"},
		"checksum":       {balancer, v2Header[:14] + "\x00\x13" + v2Header[16:] + "\x03\x00\x04abcd", nil, "checksum"},
		"silent":         {balancer, "", func(w *world, _ *memorySocket) { w.advance(6 * time.Second) }, "late"},
		"slow":           {balancer, v1Header[:20], func(w *world, _ *memorySocket) { w.advance(6 * time.Second) }, "late"},
		"half":           {balancer, v1Header[:20], func(_ *world, s *memorySocket) { s.in = nil; s.gone() }, "incomplete"},
		"drained": {balancer, v1Header[:20], func(w *world, _ *memorySocket) {
			w.shared.Refuse()
			w.advance(time.Second)
		}, "draining"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, proxied())
			s := w.connectFrom(test.from)
			s.send(test.input)
			if test.then != nil {
				test.then(w, s)
			}
			if !s.closed || s.hear() != "" {
				t.Errorf("closed %v", s.closed)
			}
			if w.seen.refused["proxy "+test.cause] != 1 || len(w.seen.refused) != 1 {
				t.Errorf("counted %v", w.seen.refused)
			}
			if len(w.seen.refusals) != 1 || w.seen.refusals[0].Cause != test.cause ||
				w.seen.refusals[0].Client.String() != test.from || w.seen.refusals[0].Verb != "PROXY" {
				t.Errorf("logged %+v", w.seen.refusals)
			}
			if w.seen.opened != 0 || len(w.seen.closed) != 0 || len(w.seen.replies) != 0 {
				t.Errorf("%d opened, closed %v, replies %v", w.seen.opened, w.seen.closed, w.seen.replies)
			}
			w.clean()
		})
	}
}

// TestProxyHealthChecks: a balancer that looks whether the port is open is neither a
// refusal nor worth a line.
func TestProxyHealthChecks(t *testing.T) {
	w := newWorld(t, proxied())
	for _, header := range []string{"", v2Local, "PROXY UNKNOWN\r\n"} {
		s := w.connectFrom(balancer)
		s.send(header)
		s.gone()
	}
	if len(w.seen.refused) > 0 || len(w.seen.refusals) > 0 || w.seen.opened != 2 {
		t.Errorf("%d opened, refused %v, logged %v", w.seen.opened, w.seen.refused, w.seen.refusals)
	}
	w.clean()
}

// TestProxyCounts: before its header a connection counts in the process alone, then with
// the address of its client.
func TestProxyCounts(t *testing.T) {
	o := proxied()
	o.Admission.Connections, o.ConnectionsPerIP = 3, 1
	w := newWorld(t, o)
	header := func(last int) string {
		return fmt.Sprintf("PROXY TCP4 192.0.2.%d 198.51.100.2 4711 25\r\n", last)
	}
	begins := func(s *memorySocket, want string) {
		t.Helper()
		if got := s.hear(); !strings.HasPrefix(got, want) {
			t.Fatalf("%q, want %s", got, want)
		}
	}
	a, b, c := w.connectFrom(balancer), w.connectFrom(balancer), w.connectFrom(balancer)
	over := w.connectFrom(balancer)
	if w.shared.SessionsOpen() != 3 {
		t.Fatalf("%d open", w.shared.SessionsOpen())
	}
	a.send(header(1))
	b.send(header(1))
	c.send(header(2))
	begins(a, "220 ")
	begins(b, "421 "+"mx1.example.net")
	begins(c, "220 ")
	over.send(header(3)) // b has left meanwhile
	begins(over, "220 ")
	last := w.connectFrom(balancer)
	last.send(header(4))
	begins(last, "421 ")
	if w.seen.refused[codec.ReplyTooManyFromAddress.Cause] != 1 || w.seen.refused[codec.ReplyTooManyConnections.Cause] != 1 {
		t.Errorf("refused %v", w.seen.refused)
	}
	for _, s := range w.sockets {
		s.gone()
	}
	w.clean()
	again := w.connectFrom(balancer)
	again.send(header(1))
	begins(again, "220 ")
	again.gone()
	w.clean()
}

// TestProxyCrowd: connections over the limit that wait for their header are themselves
// limited.
func TestProxyCrowd(t *testing.T) {
	o := proxied()
	o.Admission.Connections, o.Admission.Refused = 1, 2
	w := newWorld(t, o)
	for range 10 {
		w.connectFrom(balancer)
	}
	open := 0
	for _, s := range w.sockets {
		if !s.closed {
			open++
		}
	}
	if open != 3 || w.seen.refused[codec.ReplyTooManyConnections.Cause] != 7 {
		t.Errorf("%d open, refused %v", open, w.seen.refused)
	}
	w.advance(6 * time.Second)
	w.clean()
}

// TestProxyFlood: connections that bring no header leave the other places to those that
// do, of which any number may come at once.
func TestProxyFlood(t *testing.T) {
	o := proxied()
	o.Admission.Connections, o.Admission.Unnamed = 40, 3
	w := newWorld(t, o)
	slow := w.connectFrom(balancer)
	slow.send(v1Header[:20])
	clients := 0
	for range 10 {
		for range 15 {
			w.connectFrom(balancer)
		}
		w.advance(HeaderGrace + 2*tickLength)
		if w.loop.Unnamed(0) != 3 || w.shared.SessionsOpen() != int64(clients)+3 {
			t.Fatalf("%d wait, %d open", w.loop.Unnamed(0), w.shared.SessionsOpen())
		}
		for _, s := range []*memorySocket{w.connectFrom(balancer), w.connectFrom(balancer)} {
			w.advance(tickLength)
			s.send(v1Header)
			if got := s.hear(); !strings.HasPrefix(got, "220 ") {
				t.Fatalf("client %d: %q", clients, got)
			}
			clients++
		}
	}
	refused := w.seen.refused["proxy displaced"] + w.seen.refused[codec.ReplyTooManyConnections.Cause]
	left := w.loop.Unnamed(0)
	if want := len(w.sockets) - clients - left; !slow.closed || refused != want {
		t.Errorf("%v, want %d", w.seen.refused, want)
	}
	w.advance(6 * time.Second)
	if w.loop.Unnamed(0) != 0 || w.seen.refused["proxy late"] != left || w.shared.SessionsOpen() != int64(clients) {
		t.Errorf("%d wait, %v", w.loop.Unnamed(0), w.seen.refused)
	}
	burst := make([]*memorySocket, 10)
	for i := range burst {
		burst[i] = w.connectFrom(balancer)
	}
	w.advance(HeaderGrace - tickLength)
	for i, s := range burst {
		s.send(v1Header)
		if got := s.hear(); !strings.HasPrefix(got, "220 ") {
			t.Errorf("connection %d of a burst: %q", i, got)
		}
	}
	for _, s := range w.sockets {
		s.gone()
	}
	w.clean()
}

// TestProxyDrain: a process that shuts down sends nothing to a client that it does not
// know.
func TestProxyDrain(t *testing.T) {
	w := newWorld(t, proxied())
	s := w.connectFrom(balancer)
	w.shared.Refuse()
	late := w.connectFrom(balancer)
	late.send(v1Header)
	if got := late.hear(); !strings.HasPrefix(got, "421 ") {
		t.Errorf("%q", got)
	}
	w.advance(time.Second)
	if !s.closed || s.hear() != "" {
		t.Errorf("closed %v", s.closed)
	}
	w.advance(5 * time.Second)
	w.clean()
}

// TestProxyInEvent: the event says which balancer named the client.
func TestProxyInEvent(t *testing.T) {
	w := newWorld(t, proxied())
	w.store.hold = true
	s := w.connectFrom(balancer)
	s.send(v1Header + "EHLO client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
	s.send("x\r\n.\r\n")
	if len(w.store.held) != 1 {
		t.Fatalf("%q", s.hear())
	}
	m := w.store.held[0]
	if m.Client.Address.String() != client || m.Client.Proxy == nil || m.Client.Proxy.Address.String() != "10.0.0.1" {
		t.Errorf("client %+v", m.Client)
	}
	if !strings.Contains(string(m.Header), "[192.0.2.1]") {
		t.Errorf("trace %s", m.Header)
	}
	w.store.release()
	w.settle()
	s.gone()
	w.clean()
}

// TestXclient: a proxy names its client, and the session begins anew: the counts of
// addresses move, and so does what the gate and the event say.
func TestXclient(t *testing.T) {
	o := testOptions()
	o.ConnectionsPerIP = 2
	o.XclientNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	w := newWorld(t, o)
	w.store.hold = true
	heard := func(s *memorySocket, want string) {
		t.Helper()
		if got := s.hear(); !strings.HasPrefix(got, want) {
			t.Fatalf("%q, want %s", got, want)
		}
	}
	outsider := w.connect()
	outsider.send(ehlo)
	if got := outsider.hear(); strings.Contains(got, "XCLIENT") {
		t.Errorf("offered to anybody: %q", got)
	}
	outsider.send("XCLIENT ADDR=192.0.2.7\r\n")
	heard(outsider, "500 5.5.1 ")
	outsider.gone()

	var all []*memorySocket
	for i := range 2 {
		s := w.connectFrom(fmt.Sprint("10.0.0.1:", 40000+i))
		all = append(all, s)
		s.hear()
		s.send("EHLO proxy.example\r\n")
		if got := s.hear(); !strings.Contains(got, "250 "+codec.XclientExtension) {
			t.Fatalf("not offered: %q", got)
		}
		s.send("XCLIENT ADDR=192.0.2.7 PORT=99 NAME=client.example.org HELO=c PROTO=ESMTP\r\n")
		heard(s, "220 mx1.example.net ESMTP")
	}
	s := w.connectFrom("10.0.0.1:40009") // the first two are counted with their clients now
	all = append(all, s)
	s.send("EHLO proxy.example\r\n")
	heard(s, "220 ")
	s.send("XCLIENT ADDR=192.0.2.7\r\nNOOP\r\n") // a third one
	heard(s, "421 4.7.0 ")

	s = all[0]
	s.send("XCLIENT NOPE=1\r\nXCLIENT ADDR=192.0.2.8\r\nXCLIENT ADDR=192.0.2.7 PORT=99 NAME=client.example.org\r\n")
	if got := s.hear(); !strings.HasPrefix(got, "501 5.5.4 ") || strings.Count(got, "\r\n220 ") != 2 {
		t.Errorf("%q", got)
	}
	s.send("MAIL FROM:<a@example.org>\r\n")
	heard(s, "503 5.5.1 ")
	s.send("EHLO client.example.org\r\n" + envelope)
	s.hear()
	s.send("x\r\n.\r\n")
	if len(w.store.held) != 1 {
		t.Fatal("no message")
	}
	m := w.store.held[0]
	if m.Client.Address.String() != "192.0.2.7:99" || m.Client.Proxy == nil ||
		m.Client.Proxy.Address.String() != "10.0.0.1" || m.Client.Proxy.Name != "client.example.org" {
		t.Errorf("client %+v, proxy %+v", m.Client, m.Client.Proxy)
	}
	w.store.release()
	w.settle()
	s.hear()
	s.send("MAIL FROM:<a@example.org>\r\nXCLIENT ADDR=192.0.2.8\r\nRSET\r\nXCLIENT ADDR=192.0.2.8\r\n")
	got := strings.Split(s.hear(), "\r\n")
	for i, want := range []string{"250 ", "500 ", "250 ", "500 "} {
		if !strings.HasPrefix(got[i], want) {
			t.Errorf("reply %d: %q, want %s", i, got[i], want)
		}
	}
	for _, s := range all {
		s.gone()
	}
	w.clean()
	for _, address := range []string{"192.0.2.7", "192.0.2.8", "10.0.0.1"} {
		cells := w.shared.admission.addresses.cells(netip.MustParseAddr(address))
		if n := w.shared.admission.addresses.add(cells); n != 1 {
			t.Errorf("%d sessions of %s are still counted", n-1, address)
		}
	}
}

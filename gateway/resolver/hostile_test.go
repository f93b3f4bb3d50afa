package resolver_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"sluice/gateway/resolver"
	"sluice/internal/testkit"
)

// An answer from another port or address than was asked does not come through, however
// right it is.
func TestAnswerFromElsewhere(t *testing.T) {
	s := newRawStandin(t, func(w dns.ResponseWriter, m, reply *dns.Msg) {
		elsewhere, err := net.Dial("udp", w.RemoteAddr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer elsewhere.Close()
		reply.Answer = rr("d.test. 300 IN TXT forged")
		forged, _ := reply.Pack()
		for range 100 {
			_, _ = elsewhere.Write(forged)
		}
		reply.Answer = rr("d.test. 300 IN TXT true")
		_ = w.WriteMsg(reply)
	})
	got, err := open(t, resolver.Options{}, s.address).Lookups(1).TXT(t.Context(), "d.test")
	if err != nil || !slices.Equal(got, []string{"true"}) || s.networks() != "udp" {
		t.Errorf("%q, %v, by %s", got, err, s.networks())
	}
}

// Whoever guesses numbers has few tries: after them the answer comes by TCP.
func TestGuesses(t *testing.T) {
	s := newRawStandin(t, func(w dns.ResponseWriter, m, reply *dns.Msg) {
		reply.Answer = rr("d.test. 300 IN TXT " + w.RemoteAddr().Network())
		if w.RemoteAddr().Network() == "udp" {
			for range 100 {
				reply.Id++ // the right number is not among them
				_ = w.WriteMsg(reply)
			}
			return
		}
		_ = w.WriteMsg(reply)
	})
	got, err := open(t, resolver.Options{}, s.address).Lookups(1).TXT(t.Context(), "d.test")
	if err != nil || !slices.Equal(got, []string{"tcp"}) || s.networks() != "udp tcp" {
		t.Errorf("%q, %v, by %s", got, err, s.networks())
	}
}

// A server that cuts its answers and then stands still, resets or talks nonsense by TCP
// takes no more than its time, and the next one is asked.
func TestFaultyTCP(t *testing.T) {
	t.Parallel()
	good := newStandin(t, zoneOf("d.test. 300 IN TXT good"))
	for name, answer := range map[string]func(c net.Conn, m *dns.Msg){
		"silent": func(c net.Conn, _ *dns.Msg) { _, _ = io.Copy(io.Discard, c) },
		"closes": func(net.Conn, *dns.Msg) {},
		"half a message": func(c net.Conn, _ *dns.Msg) {
			_, _ = c.Write([]byte{0xff, 0xff, 1, 2, 3})
			_, _ = io.Copy(io.Discard, c)
		},
		"an empty message": func(c net.Conn, _ *dns.Msg) { _, _ = c.Write([]byte{0, 0}) },
		"zeros":            func(c net.Conn, _ *dns.Msg) { _, _ = c.Write(append([]byte{0xff, 0xff}, make([]byte, 0xffff)...)) },
		"another number": func(c net.Conn, m *dns.Msg) {
			reply := new(dns.Msg)
			reply.SetReply(m)
			reply.Id++
			reply.Answer = rr("d.test. 300 IN TXT forged")
			_ = (&dns.Conn{Conn: c}).WriteMsg(reply)
		},
	} {
		address := cuts(t, answer)
		r := open(t, resolver.Options{Timeout: time.Second}, address, good.address)
		got, err := r.Lookups(1).TXT(t.Context(), "d.test")
		if err != nil || !slices.Equal(got, []string{"good"}) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// cuts starts a server that cuts each answer by UDP, and has answer deal with TCP.
func cuts(t *testing.T, answer func(c net.Conn, m *dns.Msg)) (address string) {
	t.Helper()
	tcp, packets := listen(t)
	t.Cleanup(func() { tcp.Close(); packets.Close() })
	go func() {
		for buffer := make([]byte, 2048); ; {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			m, reply := new(dns.Msg), new(dns.Msg)
			if m.Unpack(buffer[:n]) == nil {
				reply.SetReply(m)
				reply.Truncated = true
				wire, _ := reply.Pack()
				_, _ = packets.WriteTo(wire, from)
			}
		}
	}()
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if m, err := (&dns.Conn{Conn: c}).ReadMsg(); err == nil {
					answer(c, m)
				}
			}()
		}
	}()
	return tcp.Addr().String()
}

// A message that claims or brings thousands of records is not read as one.
func TestCounts(t *testing.T) {
	for name, change := range map[string]func(wire []byte) []byte{
		"claims":    func(wire []byte) []byte { binary.BigEndian.PutUint16(wire[6:], 0xffff); return wire },
		"questions": func(wire []byte) []byte { binary.BigEndian.PutUint16(wire[4:], 0xffff); return wire },
		"brings": func(wire []byte) []byte {
			record := append([]byte{0xc0, 12, 0, 16, 0, 1, 0, 0, 1, 0, 0, 2}, 1, 'x') // of the name in the question
			for range 4000 {
				wire = append(wire, record...)
			}
			binary.BigEndian.PutUint16(wire[6:], 4001)
			return wire
		},
	} {
		s := newRawStandin(t, func(w dns.ResponseWriter, m, reply *dns.Msg) {
			if w.RemoteAddr().Network() == "udp" {
				reply.Truncated = true
				_ = w.WriteMsg(reply)
				return
			}
			reply.Answer = rr("d.test. 300 IN TXT x")
			wire, _ := reply.Pack()
			_, _ = w.Write(change(wire))
		})
		heard := &observer{}
		got, err := open(t, resolver.Options{Observer: heard}, s.address).Lookups(1).TXT(t.Context(), "d.test")
		if err == nil || heard.last() != "TXT bogus" {
			t.Errorf("%s: %.20q, %v, heard %s", name, got, err, heard.last())
		}
	}
}

// A domain whose servers fail does not change whom others are asked about.
func TestFailureOfADomain(t *testing.T) {
	fails := func(_ query, m *dns.Msg) bool { m.Rcode = dns.RcodeServerFailure; return true }
	good := zoneOf("d.test. 300 IN TXT good")
	first := newStandin(t, func(q query, m *dns.Msg) bool {
		if strings.EqualFold(q.name, "broken.test.") {
			return fails(q, m)
		}
		return good(q, m)
	})
	second := newStandin(t, fails)
	r := open(t, resolver.Options{}, first.address, second.address)
	if _, err := r.Lookups(1).TXT(t.Context(), "broken.test"); err == nil {
		t.Error("an answer")
	}
	before := len(second.asked())
	if got, err := r.Lookups(1).TXT(t.Context(), "d.test"); err != nil || len(second.asked()) != before {
		t.Errorf("%q, %v, and the server that fails was asked first", got, err)
	}
}

// Whoever began a question may leave before others join it: they get the answer, and the
// cache has it.
func TestWhoBeganLeaves(t *testing.T) {
	release := make(chan struct{})
	s := newStandin(t, func(_ query, reply *dns.Msg) bool {
		<-release
		reply.Answer = rr("d.test. 300 IN TXT one")
		return true
	})
	heard := &observer{}
	r := open(t, resolver.Options{Observer: heard}, s.address)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := r.Lookups(1).TXT(ctx, "d.test")
		gone <- err
	}()
	testkit.Eventually(t, "a query", func() bool { return len(s.asked()) == 1 })
	cancel()
	if err := <-gone; err == nil || heard.last() != "TXT canceled" {
		t.Errorf("%v, heard %s", err, heard.last())
	}
	var others sync.WaitGroup
	var joined atomic.Int64
	for range 20 {
		others.Go(func() {
			joined.Add(1)
			if got, err := r.Lookups(1).TXT(t.Context(), "D.test."); err != nil || got[0] != "one" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	testkit.Eventually(t, "the others", func() bool { return joined.Load() == 20 })
	close(release)
	others.Wait()
	if n := len(s.asked()); n != 1 || r.InFlight() != 0 {
		t.Errorf("asked %d times, %d in flight", n, r.InFlight())
	}
}

// A server that died and comes back is asked again, and answers then.
func TestServerComesBack(t *testing.T) {
	t.Parallel()
	tcp, packets := listen(t)
	address := packets.LocalAddr().String()
	tcp.Close()
	packets.Close()
	heard := &observer{}
	r := open(t, resolver.Options{Observer: heard}, address)
	if _, err := r.Lookups(1).TXT(t.Context(), "d.test"); err == nil {
		t.Error("nobody has answered")
	}
	if got := heard.last(); got != "TXT network" {
		t.Errorf("heard %s", got)
	}
	again, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Skip("its port was taken meanwhile")
	}
	serve(t, &dns.Server{PacketConn: again, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		reply := new(dns.Msg)
		reply.SetReply(m)
		reply.RecursionAvailable = true
		reply.Answer = rr("d.test. 300 IN TXT back")
		_ = w.WriteMsg(reply)
	})})
	testkit.Eventually(t, "an answer", func() bool { // the failure is remembered for 2 s
		got, err := r.Lookups(1).TXT(t.Context(), "d.test")
		return err == nil && got[0] == "back"
	})
}

// An answer with a TTL of 0 serves those who wait for it, and nobody later.
func TestNoTTL(t *testing.T) {
	s := newStandin(t, func(q query, reply *dns.Msg) bool {
		reply.Answer = rr("d.test. 0 IN TXT now")
		return true
	})
	r := open(t, resolver.Options{}, s.address)
	for range 3 {
		if got, err := r.Lookups(1).TXT(t.Context(), "d.test"); err != nil || got[0] != "now" {
			t.Errorf("%q, %v", got, err)
		}
	}
	if n := len(s.asked()); n != 3 || r.CachedBytes() != 0 {
		t.Errorf("asked %d times, and %d bytes are remembered", n, r.CachedBytes())
	}
}

// A flood of names that nobody has asked for before does not push out what is asked for all
// the time, nor does it take more memory than there may be.
func TestFloodOfNames(t *testing.T) {
	const bound = 512 << 10
	s := newStandin(t, func(q query, reply *dns.Msg) bool {
		if strings.EqualFold(q.name, "often.test.") {
			reply.Answer = rr("often.test. 3600 IN TXT often")
			return true
		}
		reply.Answer = rr(q.name + " 86400 IN TXT " + strings.Repeat(`"`+strings.Repeat("x", 250)+`" `, 4))
		return true
	})
	r := open(t, resolver.Options{CacheBytes: bound}, s.address)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 100 {
				l := r.Lookups(2)
				if _, err := l.TXT(t.Context(), fmt.Sprintf("n%d.w%d.test", i, worker)); err != nil {
					t.Error(err)
				}
				if got, err := l.TXT(t.Context(), "often.test"); err != nil || got[0] != "often" {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	all.Wait()
	often := 0
	for _, q := range s.asked() {
		if strings.EqualFold(q.name, "often.test.") {
			often++
		}
	}
	if n := r.CachedBytes(); often != 1 || n > bound || n < bound/2 {
		t.Errorf("asked %d times, %d bytes", often, n)
	}
}

// While servers are silent, questions fail in their time, all of them, and are given up at
// the end of the resolver.
func TestFloodAgainstSilence(t *testing.T) {
	s := newStandin(t, func(query, *dns.Msg) bool { return false })
	r := open(t, resolver.Options{Timeout: 50 * time.Millisecond, Sockets: 50}, s.address)
	var all sync.WaitGroup
	var busy, late, other atomic.Int64
	for i := range 300 {
		all.Go(func() {
			_, err := r.Lookups(1).TXT(t.Context(), fmt.Sprintf("n%d.test", i))
			var bare *net.DNSError
			switch {
			case errors.Is(err, resolver.ErrBusy):
				busy.Add(1)
			case errors.As(err, &bare) && bare.IsTimeout:
				late.Add(1)
			default:
				other.Add(1)
				t.Log(err)
			}
		})
	}
	all.Wait()
	if other.Load() != 0 || late.Load() == 0 || r.InFlight() != 0 {
		t.Errorf("%d late, %d busy, %d other; %d in flight", late.Load(), busy.Load(), other.Load(), r.InFlight())
	}
}

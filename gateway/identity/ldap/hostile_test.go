package ldap_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/gateway/identity"
	"sluice/gateway/identity/ldap"
	"sluice/internal/testkit"
)

// at returns options for a search of anybody at a stand-in.
func at(s *standIn) ldap.Options {
	return ldap.Options{URL: "ldap://" + s.address, BaseDN: "dc=example,dc=net", Filter: "(mail=%s)"}
}

// TestHostile tries servers that answer wrongly, slowly or never. Each attempt ends soon
// with Unavailable, and its connection is closed.
func TestHostile(t *testing.T) {
	var nested []byte
	for len(nested) < 60<<10 {
		nested = tlv(0x30, nested, make([]byte, 100))
	}
	huge := strings.Repeat("x", 1<<20)
	const bomb = "\x30\x84\x7f\xff\xff\xff"
	slow := func(s *standIn, conn net.Conn) {
		for _, b := range resultOf(1, done, 0, "") {
			if _, err := conn.Write([]byte{b}); err != nil {
				return
			}
			select {
			case <-time.After(30 * time.Millisecond):
			case <-s.ended:
			}
		}
	}
	for _, test := range []struct {
		name   string
		serve  func(s *standIn, conn net.Conn)     // or
		answer func(out io.Writer, r request) bool // to the search
		bind   func(out io.Writer, r request) bool // to the bind
		reason identity.Reason
	}{
		{name: "silent", serve: func(_ *standIn, conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, reason: identity.ReasonTimeout},
		{name: "a byte at a time", serve: slow, reason: identity.ReasonTimeout},
		{name: "closing", serve: func(*standIn, net.Conn) {}, reason: identity.ReasonUnreachable},
		{name: "half an answer", answer: func(out io.Writer, r request) bool {
			write(out, resultOf(r.ID, done, 0, "")[:9])
			return false
		}, reason: identity.ReasonUnreachable},
		{name: "another protocol", answer: says("HTTP/1.1 400 Bad Request\r\n\r\n"), reason: identity.ReasonFailing},
		{name: "garbage", answer: says("\x30\x05\xff\xff\xff\xff\xff"), reason: identity.ReasonFailing},
		{name: "nothing in it", answer: says("\x30\x00"), reason: identity.ReasonFailing},
		{name: "no definite length", answer: says("\x30\x80\x02\x01\x01\x00\x00"), reason: identity.ReasonFailing},
		{name: "a bomb", answer: says(bomb + strings.Repeat("x", 100)), reason: identity.ReasonFailing},
		{name: "a length of eight bytes", answer: says("\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff"), reason: identity.ReasonFailing},
		{name: "nested", answer: func(out io.Writer, r request) bool {
			write(out, tlv(0x30, number(2, r.ID), tlv(0x65, nested)))
			return true
		}, reason: identity.ReasonFailing},
		{name: "a huge entry", answer: func(out io.Writer, r request) bool {
			write(out, entryOf(r.ID, "cn=alice", huge), resultOf(r.ID, done, 0, ""))
			return true
		}, reason: identity.ReasonFailing},
		{name: "entries without end", answer: func(out io.Writer, r request) bool {
			return forever(out, entryOf(r.ID, "cn=alice"))
		}, reason: identity.ReasonFailing},
		{name: "references without end", answer: func(out io.Writer, r request) bool {
			return forever(out, tlv(0x30, number(2, r.ID), tlv(0x73, tlv(4, []byte("ldap://elsewhere")))))
		}, reason: identity.ReasonFailing},
		{name: "notices without end", answer: func(out io.Writer, _ request) bool {
			return forever(out, resultOf(0, extended, 52, "soon"))
		}, reason: identity.ReasonUnreachable},
		{name: "another's answer", answer: func(out io.Writer, r request) bool {
			write(out, resultOf(r.ID+1, done, 0, ""))
			return true
		}, reason: identity.ReasonFailing},
		{name: "an answer to a bind", answer: func(out io.Writer, r request) bool {
			write(out, resultOf(r.ID, bound, 0, ""))
			return true
		}, reason: identity.ReasonFailing},
		// A bind without a name succeeds everywhere.
		{name: "an entry without a name", answer: func(out io.Writer, r request) bool {
			write(out, entryOf(r.ID, ""), resultOf(r.ID, done, 0, ""))
			return true
		}, reason: identity.ReasonFailing},
		{name: "an entry that is none", answer: func(out io.Writer, r request) bool {
			write(out, tlv(0x30, number(2, r.ID), tlv(0x64, tlv(4, []byte("cn=alice")), tlv(0x30, number(2, 7)))))
			return true
		}, reason: identity.ReasonFailing},
		{name: "success of another kind", bind: func(out io.Writer, r request) bool {
			write(out, resultOf(r.ID, done, 0, ""))
			return true
		}, reason: identity.ReasonFailing},
		{name: "success of another bind", bind: func(out io.Writer, r request) bool {
			write(out, resultOf(r.ID-1, bound, 0, ""), resultOf(r.ID+1, bound, 0, ""))
			return true
		}, reason: identity.ReasonFailing},
		{name: "a code without end", bind: func(out io.Writer, r request) bool {
			write(out, tlv(0x30, number(2, r.ID), tlv(bound, tlv(10, make([]byte, 9)), tlv(4), tlv(4))))
			return true
		}, reason: identity.ReasonFailing},
		// 2^16 is success for a client that takes 16 bits.
		{name: "a code that wraps", bind: func(out io.Writer, r request) bool {
			write(out, tlv(0x30, number(2, r.ID), tlv(bound, tlv(10, []byte{1, 0, 0}), tlv(4), tlv(4))))
			return true
		}, reason: identity.ReasonFailing},
		{name: "no code", bind: func(out io.Writer, r request) bool {
			write(out, tlv(0x30, number(2, r.ID), tlv(bound, tlv(10), tlv(4), tlv(4))))
			return true
		}, reason: identity.ReasonFailing},
		{name: "an unknown code", bind: func(out io.Writer, r request) bool {
			write(out, resultOf(r.ID, bound, 4096, ""))
			return true
		}, reason: identity.ReasonFailing},
	} {
		t.Run(test.name, func(t *testing.T) {
			var s *standIn
			if test.serve != nil {
				s = startRaw(t, test.serve)
			} else {
				s = startStandIn(t, func(out io.Writer, r request) bool {
					switch {
					case r.Op.Tag == searchOp && test.answer != nil:
						return test.answer(out, r)
					case r.Op.Tag == bindOp && test.bind != nil:
						return test.bind(out, r)
					}
					return orderly(out, r)
				})
			}
			b := open(t, at(s))
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			if test.reason != identity.ReasonTimeout {
				ctx = t.Context() // the server's own doing ends it
			}
			defer cancel()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got := try(ctx, b, "alice@example.net", "canary")
			runtime.ReadMemStats(&after)
			if got.Verdict != identity.Unavailable || got.Reason != test.reason || got.Err == nil {
				t.Errorf("verdict %d, reason %q, %v", got.Verdict, got.Reason, got.Err)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 { // the server's count too
				t.Errorf("%d bytes were allocated", grown)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			s.allClosed(t)
		})
	}
}

func says(text string) func(io.Writer, request) bool {
	return func(out io.Writer, _ request) bool {
		write(out, []byte(text))
		return true
	}
}

func forever(out io.Writer, message []byte) bool {
	many := bytes.Repeat(message, 100)
	for {
		if _, err := out.Write(many); err != nil {
			return false
		}
	}
}

// TestCancelled ends an attempt whose context is cancelled while the server is silent, in
// each of its steps.
func TestCancelled(t *testing.T) {
	for _, silent := range []int{searchOp, bindOp, extendedOp} {
		asked := make(chan bool, 1)
		s := startStandIn(t, func(out io.Writer, r request) bool {
			if r.Op.Tag != silent {
				return orderly(out, r)
			}
			asked <- true
			return true
		})
		o := at(s)
		o.StartTLS = silent == extendedOp
		b := open(t, o)
		ctx, cancel := context.WithCancel(t.Context())
		answer := make(chan identity.Answer)
		go func() { answer <- try(ctx, b, "alice@example.net", "canary") }()
		<-asked
		began := time.Now()
		cancel()
		if got := <-answer; got.Verdict != identity.Unavailable || got.Reason != identity.ReasonTimeout {
			t.Errorf("verdict %d, reason %q, %v", got.Verdict, got.Reason, got.Err)
		}
		if took := time.Since(began); took > 5*time.Second { // half of what a request may take
			t.Errorf("it took %v", took)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		s.allClosed(t)
	}
}

// TestHandshake has servers of TLS: one that is silent, and one whose certificate names
// another host.
func TestHandshake(t *testing.T) {
	pair := testkit.ECDSAPair()
	authorities := secretFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
	for name, test := range map[string]struct {
		serve  func(s *standIn, conn net.Conn)
		reason identity.Reason
	}{
		"silent": {func(_ *standIn, conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, identity.ReasonTimeout},
		"another's": {func(_ *standIn, conn net.Conn) {
			_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}}).Handshake()
		}, identity.ReasonMisconfigured},
	} {
		s := startRaw(t, test.serve)
		o := at(s)
		o.URL, o.CAFile = "ldaps://"+s.address, authorities
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if test.reason == identity.ReasonTimeout {
			ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
		}
		got := try(ctx, open(t, o), "alice@example.net", "canary")
		cancel()
		if got.Verdict != identity.Unavailable || got.Reason != test.reason {
			t.Errorf("%s: verdict %d, reason %q, %v", name, got.Verdict, got.Reason, got.Err)
		}
		s.allClosed(t)
	}
}

// TestFullPipe tries a server that reads nothing.
func TestFullPipe(t *testing.T) {
	release := make(chan bool)
	s := startRaw(t, func(*standIn, net.Conn) { <-release })
	defer close(release)
	o := at(s)
	o.UserDN, o.BaseDN = "cn=%s,dc=example,dc=net", ""
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	got := try(ctx, open(t, o), "alice", strings.Repeat("x", 8<<20)) // more than sockets hold
	if got.Verdict != identity.Unavailable || got.Reason != identity.ReasonTimeout {
		t.Errorf("verdict %d, reason %q, %v", got.Verdict, got.Reason, got.Err)
	}
}

// TestPlaintextStays has a server that refuses StartTLS, or answers and goes on in plain
// text: nothing of a password is sent.
func TestPlaintextStays(t *testing.T) {
	for name, answer := range map[string]func(out io.Writer, r request) bool{
		"refused": orderly,
		"begun": func(out io.Writer, r request) bool {
			write(out, resultOf(r.ID, extended, 0, ""), resultOf(r.ID+1, bound, 0, ""))
			return true
		},
	} {
		s := startStandIn(t, answer)
		o := at(s)
		o.StartTLS, o.BindDN, o.BindPasswordFile = true, "cn=sluice,dc=example,dc=net", secretFile(t, "canary")
		got := try(t.Context(), open(t, o), "alice@example.net", "canary")
		if got.Verdict != identity.Unavailable || got.Reason != identity.ReasonMisconfigured {
			t.Errorf("%s: verdict %d, reason %q, %v", name, got.Verdict, got.Reason, got.Err)
		}
		if n := s.count.Load(); n != 1 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
}

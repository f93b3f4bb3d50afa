package driver

import (
	"strings"
	"testing"
	"time"

	"sluice/gateway/session"
)

// overflowed returns a session that was told that its message is far too large, while
// its client still sends.
func overflowed(t *testing.T) (*world, *memorySocket) {
	o := testOptions()
	limits := testLimits()
	limits.MessageSize = 64 << 10
	o.Settings = session.NewSettings("mx1.example.net", limits, session.AcceptAny())
	o.MinDataRate = 500
	w := newWorld(t, o)
	s := w.connect()
	s.send(ehlo + envelope)
	s.hear()
	s.send(largeText(3 * 64 << 10))
	if got := s.hear(); !strings.HasPrefix(got, "552 5.3.4 ") || !s.half || s.closed {
		t.Fatalf("got %q, half-closed %v, closed %v", got, s.half, s.closed)
	}
	return w, s
}

// A client that sends mail text reads no reply before it is done: what it still sends
// is dropped for as long as it keeps the least rate, within bounds.
func TestTextBehindTheLastReplyIsDropped(t *testing.T) {
	t.Run("until the client closes", func(t *testing.T) {
		w, s := overflowed(t)
		piece := strings.Repeat("x", readSize)
		for range 2000 {
			s.send(piece)
		}
		if s.closed || len(s.in) != 0 || w.shared.Budget.Used() != 0 {
			t.Errorf("closed %v, %d octets unread, %d held", s.closed, len(s.in), w.shared.Budget.Used())
		}
		s.gone()
		w.clean()
	})
	t.Run("while it is fast enough", func(t *testing.T) {
		w, s := overflowed(t)
		for range 12 {
			s.send(strings.Repeat("x", 500*10))
			w.advance(textLingerWindow / 2)
		}
		if s.closed {
			t.Fatal("closed although it kept the rate")
		}
		s.send("x")
		w.advance(2*textLingerWindow + 2*tickLength)
		if !s.closed {
			t.Error("open without the least rate")
		}
		w.clean()
	})
	t.Run("until its time is over", func(t *testing.T) {
		w, s := overflowed(t)
		began := w.now
		for !s.closed && w.now.Sub(began) < 2*testTimeouts().Message {
			s.send(strings.Repeat("x", 5000))
			w.advance(time.Second)
		}
		if took := w.now.Sub(began); took < testTimeouts().Message || took > testTimeouts().Message+2*time.Second {
			t.Errorf("open for %v", took)
		}
		w.clean()
	})
	t.Run("until the process drains", func(t *testing.T) {
		w, s := overflowed(t)
		w.shared.Refuse()
		for range 30 {
			s.send(strings.Repeat("x", 5000))
			w.advance(tickLength)
		}
		if !s.closed {
			t.Error("a drain waits for text that is dropped")
		}
		w.clean()
	})
	t.Run("until too much has come", func(t *testing.T) {
		w, s := overflowed(t)
		s.conn.lingerLeft = 100 << 10
		s.send(strings.Repeat("x", 90<<10))
		if s.closed {
			t.Error("closed too early")
		}
		s.send(strings.Repeat("x", 20<<10))
		if !s.closed {
			t.Error("still open")
		}
		w.clean()
	})
}

package driver

import (
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"sluice/gateway/session"
	"sluice/pipeline"
)

const (
	ehlo     = "EHLO client.example.com\r\n"
	envelope = "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"
	mailText = "Subject: x\r\n\r\ntext\r\n.\r\n"
)

func TestSizeOfIdleSession(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > 240 {
		t.Errorf("a connection with its session takes %d octets, more than 240", n)
	}
}

func TestQuitClosesAtOnce(t *testing.T) {
	w := newWorld(t, testOptions())
	s := w.connect()
	s.send("QUIT\r\n")
	if !s.closed || !strings.Contains(s.hear(), "221 2.0.0") {
		t.Error("QUIT did not close")
	}
	w.clean()
	if w.seen.closed["quit"] != 1 {
		t.Errorf("ends counted: %v", w.seen.closed)
	}
}

// A client that still sends must get the reply that ends its session: the
// connection is half-closed, and what comes is dropped up to a bound.
func TestLastReplyLingers(t *testing.T) {
	o := testOptions()
	limits := testLimits()
	limits.CommandErrors = 1
	o.Settings = session.NewSettings("mx1.example.net", limits, session.AcceptAny())
	lastWord := "X\r\nX\r\nX\r\n"

	t.Run("until the client closes", func(t *testing.T) {
		w := newWorld(t, o)
		s := w.connect()
		s.send(lastWord)
		if !s.half || s.closed || !strings.Contains(s.hear(), "421 4.7.0") {
			t.Fatal("not half-closed behind the last reply")
		}
		s.send(strings.Repeat("x", 1000))
		if len(s.in) != 0 || s.closed {
			t.Error("input behind the last reply was not dropped")
		}
		s.gone()
		w.clean()
	})
	t.Run("until its time is over", func(t *testing.T) {
		w := newWorld(t, o)
		s := w.connect()
		s.send(lastWord)
		w.advance(lingerTime + 2*tickLength)
		if !s.closed {
			t.Error("still open")
		}
		w.clean()
	})
	t.Run("until too much has come", func(t *testing.T) {
		w := newWorld(t, o)
		s := w.connect()
		s.send(lastWord)
		for range 1 + maxLinger/10000 {
			s.send(strings.Repeat("x", 10000))
		}
		if !s.closed {
			t.Error("still open")
		}
		w.clean()
	})
}

// Replies that a client does not read are kept up to a bound, in order, and its
// input stays unread meanwhile.
func TestUnreadReplies(t *testing.T) {
	o := testOptions()
	limits := testLimits()
	limits.JunkCommands = 1 << 30
	o.Settings = session.NewSettings("mx1.example.net", limits, session.AcceptAny())
	w := newWorld(t, o)
	s := w.connect()
	s.hear()
	s.room = 10
	const commands = 10000
	s.send(strings.Repeat("NOOP\r\n", commands))
	if n := len(s.conn.unsentBytes()); n == 0 || n > outHigh+1024 {
		t.Fatalf("%d octets of replies kept", n)
	}
	if len(s.in) == 0 {
		t.Fatal("all input was read")
	}
	for range 100 { // 10 s, 3,000 bytes a tick
		s.room = 3000
		w.advance(tickLength)
	}
	s.room = -1
	w.advance(2 * tickLength)
	want := strings.Repeat("250 2.0.0 Ok\r\n", commands)
	if got := s.hear(); got != want {
		t.Fatalf("got %d octets of replies, want %d", len(got), len(want))
	}
	s.send("QUIT\r\n")
	w.clean()
}

func TestStalledClientIsCut(t *testing.T) {
	w := newWorld(t, testOptions())
	s := w.connect()
	s.room = 5
	s.send("NOOP\r\n")
	w.advance(testTimeouts().Stall / 2)
	s.room = 1 // progress: the stall begins anew
	w.advance(testTimeouts().Stall - tickLength)
	if s.closed {
		t.Fatal("cut although it made progress")
	}
	w.advance(3 * tickLength)
	if !s.closed || w.seen.closed["stalled"] != 1 {
		t.Errorf("not cut: %v", w.seen.closed)
	}
	if n := len(w.seen.refusals); n != 1 || w.seen.refusals[0].Cause != "stalled" {
		t.Errorf("log lines: %v", w.seen.refusals)
	}
	w.clean()
}

// TestTooManyStalledSessions checks that of the clients that do not read the oldest goes,
// and that one that reads after all goes on.
func TestTooManyStalledSessions(t *testing.T) {
	o := testOptions()
	o.StalledSessions = 3
	w := newWorld(t, o)
	stall := func() *memorySocket {
		s := w.connect()
		s.room = 5
		s.send("NOOP\r\n")
		w.advance(tickLength)
		return s
	}
	reads, first := stall(), stall()
	reads.room = -1
	w.advance(tickLength)
	others := []*memorySocket{stall(), stall()}
	first.room = 1 // which does not make it younger
	w.advance(tickLength)
	if first.closed {
		t.Fatal("ended although there are three")
	}
	others = append(others, stall())
	if !first.closed || !first.dropped || w.seen.closed["stalled_sessions"] != 1 {
		t.Errorf("the oldest was not ended: %v", w.seen.closed)
	}
	if n := len(w.seen.refusals); n != 1 || w.seen.refusals[0].Cause != "stalled_sessions" {
		t.Errorf("log lines: %v", w.seen.refusals)
	}
	for _, s := range append(others, reads) {
		if s.closed {
			t.Error("another was ended")
		}
		s.room = -1
	}
	w.advance(tickLength)
	if len(w.loop.stalled) != 0 {
		t.Errorf("%d are listed", len(w.loop.stalled))
	}
	for _, s := range append(others, reads) {
		s.send("QUIT\r\n")
	}
	w.clean()
}

func TestConnectionLimits(t *testing.T) {
	o := testOptions()
	o.Admission.Connections = 3
	w := newWorld(t, o)
	for range 3 {
		w.connect()
	}
	s := w.connect()
	if got := s.hear(); got != "421 mx1.example.net Too many connections, try again later\r\n" {
		t.Errorf("got %q", got)
	}
	if !s.half || s.closed {
		t.Error("the refusal does not linger")
	}
	w.sockets[0].send("QUIT\r\n")
	if got := w.connect().hear(); !strings.HasPrefix(got, "220 ") {
		t.Errorf("after one has left: %q", got)
	}
	if w.seen.refused["connections"] != 1 || w.seen.replies["connections"] != 1 {
		t.Errorf("counted: %v", w.seen.refused)
	}
	for _, s := range w.sockets {
		s.gone()
	}
	w.clean()
	if n := w.shared.admission.refused.Load(); n != 0 {
		t.Errorf("%d refused connections left", n)
	}
}

// Refused connections that would linger past their bound are closed at once:
// descriptors are what runs out when connections do.
func TestRefusedConnectionsAreBounded(t *testing.T) {
	o := testOptions()
	const maxRefused = 7
	o.Admission.Connections, o.Admission.Refused = 0, maxRefused
	w := newWorld(t, o)
	for range maxRefused + 10 {
		w.connect()
	}
	if n := w.loop.Sessions(); n != maxRefused {
		t.Errorf("%d refused connections linger, want %d", n, maxRefused)
	}
	if got := w.sockets[maxRefused+5].hear(); !strings.HasPrefix(got, "421 ") {
		t.Errorf("without its reply: %q", got)
	}
	w.advance(lingerTime + 2*tickLength)
	w.clean()
}

func TestConnectionsPerAddress(t *testing.T) {
	o := testOptions()
	o.ConnectionsPerIP = 2
	o.Trusted = prefixes("198.51.100.0/24")
	w := newWorld(t, o)
	for i, c := range []struct{ from, want string }{
		{"192.0.2.1:1", "220"}, {"192.0.2.1:2", "220"}, {"192.0.2.1:3", "421 mx1.example.net Too many"},
		{"192.0.2.2:1", "220"}, {"[::ffff:192.0.2.1]:4", "421 mx1.example.net Too many"},
		{"[2001:db8::1]:1", "220"}, {"[2001:db8::2]:1", "220"}, {"[2001:db8::3]:1", "421 mx1.example.net Too many"},
		{"[2001:db8:0:1::1]:1", "220"},
		{"198.51.100.9:1", "220"}, {"198.51.100.9:2", "220"}, {"198.51.100.9:3", "220"},
	} {
		if got := w.connectFrom(c.from).hear(); !strings.HasPrefix(got, c.want) {
			t.Errorf("connection %d from %s: got %q, want %s", i, c.from, got, c.want)
		}
	}
	w.sockets[0].gone()
	if got := w.connectFrom("192.0.2.1:9").hear(); !strings.HasPrefix(got, "220") {
		t.Errorf("after one has left: %q", got)
	}
	for _, s := range w.sockets {
		s.gone()
	}
	w.clean()
}

// bomb panics when a message is done, and again when that ends the session.
type bomb struct{ *counts }

func (bomb) MessageDone(string, int64, float64) { panic("first") }
func (bomb) SessionClosed(float64, string)      { panic("second") }

// TestPanicWhileRecovering: a panic in what ends a session after a panic does not leave
// the loop, which goes on with the other sessions.
func TestPanicWhileRecovering(t *testing.T) {
	w := newWorld(t, testOptions())
	s, other := w.connect(), w.connect()
	w.shared.Observer = bomb{&w.seen}
	s.send(ehlo + envelope + mailText)
	w.shared.Observer = &w.seen
	if w.seen.panics != 2 {
		t.Errorf("%d panics were counted, want 2", w.seen.panics)
	}
	other.hear()
	other.send("NOOP\r\n")
	if got := other.hear(); !strings.HasPrefix(got, "250 ") {
		t.Errorf("another session heard %q", got)
	}
}

// A panic in one session ends that session and no other.
func TestPanicEndsOneSession(t *testing.T) {
	w := newWorld(t, testOptions())
	good, bad := w.connect(), w.connect()
	good.send(ehlo)
	w.shared.Committer.Store = panicking{}
	bad.send(ehlo + envelope + mailText)
	if !bad.closed || w.seen.panics != 1 || w.seen.closed["error"] != 1 {
		t.Errorf("closed %v, %d panics, ends %v", bad.closed, w.seen.panics, w.seen.closed)
	}
	w.shared.Committer.Store = &w.store
	good.hear()
	good.send(envelope + mailText)
	if got := good.hear(); !strings.Contains(got, "250 2.0.0 Ok 0") {
		t.Errorf("the other session: %q", got)
	}
	good.send("QUIT\r\n")
	if w.shared.SessionsOpen() != 0 {
		t.Errorf("%d sessions counted open", w.shared.SessionsOpen())
	}
}

type panicking struct{}

func (panicking) Put(*pipeline.Message) { panic("scripted") }

// A client that goes away costs nothing more, wherever it goes: its message is
// not announced, because it will send it again.
func TestClientGone(t *testing.T) {
	text := ehlo + envelope + mailText
	for cut := 0; cut <= len(text); cut++ {
		for _, stage := range []string{"", "store", "log"} {
			w := newWorld(t, testOptions())
			w.store.hold, w.log.hold = stage == "store", stage == "log"
			s := w.connect()
			s.send(text[:cut])
			s.gone()
			w.store.release()
			w.log.release()
			w.settle()
			w.clean()
			if cut == len(text) && stage == "store" && len(w.log.events) != 0 {
				t.Error("announced although its client was gone before")
			}
			if answered := w.seen.messages["accepted"]; answered > len(w.log.events) {
				t.Errorf("cut at %d: %d messages counted accepted, %d events", cut, answered, len(w.log.events))
			}
		}
	}
}

func TestClientGoneWhileItWaitsForMemory(t *testing.T) {
	o := testOptions()
	o.Budget = pipeline.NewBudget(300 << 10) // room for one message of unknown size
	w := newWorld(t, o)
	first, second, third := w.connect(), w.connect(), w.connect()
	first.send(ehlo + envelope)
	first.send(largeText(200 << 10))
	second.send(ehlo + envelope)
	third.send(ehlo + envelope)
	if n := w.shared.Budget.Waiters(); n != 2 {
		t.Fatalf("%d wait", n)
	}
	second.gone()
	w.advance(2 * tickLength)
	if n := w.shared.Budget.Waiters(); n != 1 {
		t.Fatalf("%d wait after one has gone", n)
	}
	third.hear()
	first.send(".\r\n")
	if got := third.hear(); !strings.HasPrefix(got, "354 ") {
		t.Errorf("the one who stayed: %q", got)
	}
	third.gone()
	first.gone()
	w.clean()
	if w.seen.credit["gone"] != 1 || w.seen.credit["granted"] != 1 {
		t.Errorf("waits counted: %v", w.seen.credit)
	}
}

// Body memory that runs out in the middle of a message of undeclared size, and
// does not come in time, is 452 at its end; the other messages are not touched.
func TestMemoryRunsOutWhileReceiving(t *testing.T) {
	o := testOptions()
	o.Budget = pipeline.NewBudget(600 << 10)
	w := newWorld(t, o)
	const stored = 256 << 10 // what messages hold that the store reads
	w.shared.Budget.TryTake(stored)
	small, large := w.connect(), w.connect()
	large.send(ehlo + envelope)
	line := strings.Repeat("x", 70) + "\r\n"
	for range 12 {
		large.send(strings.Repeat(line, 1000))
	}
	if !large.paused {
		t.Error("read on without memory")
	}
	w.advance(testTimeouts().Credit + time.Second)
	if used := w.shared.Budget.Used(); used > stored {
		t.Errorf("%d octets held for a message that was given up", used)
	}
	w.shared.Budget.Give(stored)
	large.hear()
	large.send(".\r\n")
	if got := large.hear(); !strings.HasPrefix(got, "452 4.3.1") {
		t.Errorf("got %q", got)
	}
	small.send(ehlo + envelope)
	small.hear()
	small.send(mailText)
	if got := small.hear(); !strings.HasPrefix(got, "250 2.0.0 Ok") {
		t.Errorf("got %q", got)
	}
	small.gone()
	large.gone()
	w.clean()
}

// Long envelopes are paid from the same budget as bodies.
func TestLongEnvelopesAreBudgeted(t *testing.T) {
	o := testOptions()
	o.Budget = pipeline.NewBudget(200 << 10)
	limits := testLimits()
	limits.Recipients = 1000
	o.Settings = session.NewSettings("mx1.example.net", limits, session.AcceptAny())
	w := newWorld(t, o)
	rcpt := "RCPT TO:<" + strings.Repeat("u", 60) + "@" + strings.Repeat("d.", 90) + "example.net>\r\n"
	s := w.connect()
	s.send(ehlo + "MAIL FROM:<a@example.com>\r\n")
	s.hear()
	s.send(strings.Repeat(rcpt, 1000))
	got := s.hear()
	taken := strings.Count(got, "250 2.1.5")
	if refused := strings.Count(got, "452 4.3.1"); taken == 0 || refused == 0 || taken+refused != 1000 {
		t.Fatalf("%d taken, %d refused of 1000", taken, refused)
	}
	const envelopeFreeOctets = 8 << 10
	// Twice in the envelope's own buffer, once in the event.
	if text := int64(3*taken*250) - envelopeFreeOctets; w.shared.Budget.Used() < text {
		t.Errorf("%d octets of addresses and their event, %d paid", text, w.shared.Budget.Used())
	}
	s.send("RSET\r\n")
	if n := w.shared.Budget.Used(); n != 0 {
		t.Errorf("%d octets still held after RSET", n)
	}
	s.gone()
	w.clean()
}

func TestWriteErrorEndsSession(t *testing.T) {
	w := newWorld(t, testOptions())
	s := w.connect()
	s.err = syscall.ECONNRESET
	s.send(ehlo + envelope + mailText)
	if !s.closed {
		t.Error("still open")
	}
	w.clean()
}

func TestDrainRefusesNewSessions(t *testing.T) {
	w := newWorld(t, testOptions())
	busy := w.connect()
	busy.send(ehlo + envelope)
	w.shared.Refuse()
	w.advance(tickLength)
	if got := w.connect().hear(); !strings.HasPrefix(got, "421 mx1.example.net ") {
		t.Errorf("a new session: %q", got)
	}
	busy.hear()
	busy.send(mailText)
	if got := busy.hear(); !strings.HasPrefix(got, "250 ") || !strings.HasSuffix(got, "421 4.3.2 mx1.example.net Service is shutting down, try again\r\n") {
		t.Errorf("the session in a transaction: %q", got)
	}
	w.advance(lingerTime + 2*tickLength)
	w.clean()
}

func TestRefusalsAreLogged(t *testing.T) {
	w := newWorld(t, testOptions())
	s := w.connect()
	s.send(ehlo + "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n")
	w.store.err = fmt.Errorf("disk on fire")
	s.send("RCPT TO:<b@example.net>\r\nDATA\r\n" + mailText)
	got := fmt.Sprintf("%+v", w.seen.refusals)
	for _, want := range []string{"relay_denied", "Verb:RCPT", "client.example.com", "temporary", "disk on fire", "Verb:message"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if len(w.seen.refusals) != 2 || w.seen.refusals[1].Message == "" {
		t.Errorf("log lines: %s", got)
	}
	s.gone()
	w.clean()
}

// The steady path of a message allocates nothing on the loop.
func TestNoAllocations(t *testing.T) {
	o := testOptions()
	limits := testLimits()
	limits.Messages = 1 << 30
	o.Settings = session.NewSettings("mx1.example.net", limits, session.AcceptAny())
	w := newWorld(t, o)
	w.shared.Committer = &pipeline.Committer{Store: instant{}, Log: instant{}, Observer: &w.seen}
	s := w.connect()
	s.send(ehlo)
	commands := []byte("MAIL FROM:<a@example.com> SIZE=12000\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
	text := []byte(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 150) + ".\r\n")
	feed := func(octets []byte) {
		s.in = octets
		w.loop.Traffic(&s.conn)
		s.out = s.out[:0]
	}
	s.out = make([]byte, 0, 1<<16)
	one := func() { feed(commands); feed(text) }
	one()
	if n := testing.AllocsPerRun(1000, one); n > 0 {
		t.Errorf("%v allocations for a message", n)
	}
	if w.seen.messages["accepted"] < 1000 {
		t.Fatalf("accepted: %v", w.seen.messages)
	}
}

type instant struct{}

func (instant) Put(m *pipeline.Message)     { m.Stored(pipeline.Blob{}, pipeline.Digest{}, nil) }
func (instant) Publish(m *pipeline.Message) { m.Published(pipeline.Position{}, nil) }

func BenchmarkMessage(b *testing.B) {
	o := testOptions()
	limits := testLimits()
	limits.Messages = 1 << 30
	o.Settings = session.NewSettings("mx1.example.net", limits, session.AcceptAny())
	w := newWorld(b, o)
	w.shared.Committer = &pipeline.Committer{Store: instant{}, Log: instant{}, Observer: &w.seen}
	s := w.connect()
	s.send(ehlo)
	commands := []byte("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
	text := []byte(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 142) + ".\r\n")
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s.in = commands
		w.loop.Traffic(&s.conn)
		s.in = text
		w.loop.Traffic(&s.conn)
		s.out = s.out[:0]
	}
}

// TestLenientPathsAreCounted: what is taken against the grammar is counted by kind,
// what is refused is not.
func TestLenientPathsAreCounted(t *testing.T) {
	w := newWorld(t, testOptions())
	s := w.connect()
	s.send(ehlo + "MAIL FROM:a@example.org\r\nRCPT TO:b@example.net\r\nRCPT TO:b@example.org\r\n" +
		"RCPT TO:<b@example.net>\r\nRSET\r\nMAIL FROM:<a..b@example.org>\r\nRSET\r\nMAIL FROM:a.@example.org\r\n")
	want := map[string]int{"no_brackets": 2, "dots": 1, "no_brackets_dots": 1}
	if !maps.Equal(w.seen.lenient, want) {
		t.Errorf("%v, want %v", w.seen.lenient, want)
	}
	s.gone()
	w.clean()
}

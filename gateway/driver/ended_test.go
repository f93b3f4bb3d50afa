package driver

import (
	"fmt"
	"strings"
	"testing"
)

// ends is the client's end of input: it still reads.
func (s *memorySocket) ends() {
	if s.closed || s.paused {
		return
	}
	if s.w.loop.Owes(&s.conn) {
		s.ended = true
		s.w.loop.InputEnded(&s.conn)
	} else {
		s.w.loop.Closed(&s.conn, EndClosed)
	}
	s.w.settle()
}

// TestEndOfInputAtEveryOctet: whatever came whole before the end is answered, and
// then the connection is closed; a message without its final dot is none.
func TestEndOfInputAtEveryOctet(t *testing.T) {
	commands := []string{ehlo, "MAIL FROM:<a@example.com>\r\n", "RCPT TO:<b@example.net>\r\n", "DATA\r\n", mailText, "NOOP\r\n", "QUIT\r\n"}
	codes := []string{"220 ", "250 ", "250 ", "250 ", "354 ", "250 2.0.0 Ok 0", "250 2.0.0 Ok\r", "221 "}
	stream := strings.Join(commands, "")
	for cut := range len(stream) + 1 {
		for _, hold := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d held %v", cut, hold), func(t *testing.T) {
				w := newWorld(t, testOptions())
				w.store.hold = hold
				s := w.connect()
				s.send(stream[:cut])
				s.ends()
				w.store.release()
				w.settle()
				whole, end := 1, 0 // the greeting
				for _, command := range commands {
					if end += len(command); end <= cut {
						whole++
					}
				}
				var got []string
				for line := range strings.Lines(s.hear()) {
					if line[3] == ' ' {
						got = append(got, line)
					}
				}
				if len(got) != whole {
					t.Fatalf("%d replies to what came whole, want %d: %q", len(got), whole, got)
				}
				for i, line := range got {
					if !strings.HasPrefix(line, codes[i]) {
						t.Errorf("reply %d is %q, want %s", i, line, codes[i])
					}
				}
				if stored := len(w.store.in); stored != min(1, max(0, whole-5)) {
					t.Errorf("%d messages were stored", stored)
				}
				if !s.closed {
					t.Error("the connection is open behind the end of input")
				}
				w.clean()
			})
		}
	}
}

// A client that ends its input while it does not read its replies has them in the
// end, and so has one whose message waits for memory.
func TestEndOfInputOfSlowReader(t *testing.T) {
	w := newWorld(t, testOptions())
	s := w.connect()
	s.hear()
	s.room = 10
	s.send(ehlo + envelope + mailText + "QUIT\r\n")
	s.ends()
	if s.closed {
		t.Fatal("closed with replies unread")
	}
	for range 100 {
		s.room = 10
		w.advance(tickLength)
	}
	got := s.hear()
	if !strings.Contains(got, "250 2.0.0 Ok 0") || !strings.Contains(got, "\r\n221 ") || !s.closed {
		t.Errorf("got %q, closed: %v", got, s.closed)
	}
	w.clean()
}

func TestEndOfInputBeforeMemory(t *testing.T) {
	w := newWorld(t, testOptions())
	s := w.connect()
	s.send(ehlo)
	taken := w.shared.Budget.Limit() - w.shared.Budget.Used()
	w.shared.Budget.TryTake(taken)
	s.send(envelope + mailText + "QUIT\r\n")
	s.ends()
	if s.closed {
		t.Fatal("closed while the message waits for memory")
	}
	w.shared.Budget.Give(taken)
	w.settle()
	if got := s.hear(); !strings.Contains(got, "250 2.0.0 Ok 0") || !strings.Contains(got, "\r\n221 ") || !s.closed {
		t.Errorf("got %q, closed: %v", got, s.closed)
	}
	w.clean()
}

// The deadlines of a session run on behind the end of input.
func TestEndOfInputAndNoAnswer(t *testing.T) {
	w := newWorld(t, testOptions())
	w.store.hold = true
	s := w.connect()
	s.send(ehlo + envelope + mailText + "QUIT\r\n")
	s.ends()
	w.advance(testTimeouts().Store + 2*tickLength)
	if got := s.hear(); !strings.Contains(got, "\r\n451 4.3.0") || !strings.Contains(got, "\r\n221 ") || !s.closed {
		t.Errorf("got %q, closed: %v", got, s.closed)
	}
	w.store.release()
	w.settle()
	w.clean()
}

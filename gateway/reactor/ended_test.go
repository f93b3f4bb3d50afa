package reactor

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/internal/testkit"
)

// TestHalfClosedClient checks that a client that has sent everything and half-closed the
// connection receives its replies, whether or not they are ready by then. Exim does so
// after its last message, and so does printf … | nc -N.
func TestHalfClosedClient(t *testing.T) {
	const whole = "HELO c.example.org\r\n" + transaction + "text\r\n.\r\nQUIT\r\n"
	replies := []string{"220", "250", "250", "250", "354", "250 2.0.0 Ok 0", "221"}
	for name, test := range map[string]struct {
		stream string
		hold   bool // the store responds after the end of input
		want   []string
	}{
		"at once":                    {whole, false, replies},
		"before the store answers":   {whole, true, replies},
		"without QUIT":               {strings.TrimSuffix(whole, "QUIT\r\n"), true, replies[:6]},
		"in the middle of a command": {strings.TrimSuffix(whole, "IT\r\n"), true, replies[:6]},
		"many commands after it":     {whole[:len(whole)-6] + strings.Repeat("NOOP\r\n", 90) + "QUIT\r\n", true, replies[:6]},
		"more than a pause holds":    {whole[:len(whole)-6] + strings.Repeat("VRFY "+strings.Repeat("x", 400)+"\r\n", 90), true, replies[:6]},
		"in the text":                {"HELO c.example.org\r\n" + transaction + "text\r\n", false, replies[:5]},
		"nothing at all":             {"", false, replies[:1]},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			if test.hold {
				s.store.holdAll()
			}
			c, r := s.dial(t)
			expect(t, r, "220")
			if _, err := io.WriteString(c, test.stream); err != nil {
				t.Fatal(err)
			}
			if err := c.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if test.hold {
				testkit.Eventually(t, "the store holds the message", func() bool { return s.store.waiting() == 1 })
				time.Sleep(5 * time.Millisecond) // usually the end of input has been seen by now
				s.store.release()
			}
			for _, want := range test.want[1:] {
				expect(t, r, want)
			}
			switch rest, err := io.ReadAll(r); {
			case err != nil:
				t.Errorf("the connection ended with %v", err)
			case strings.HasPrefix(name, "many"):
				if n := strings.Count(string(rest), "250 2.0.0 Ok\r\n"); n != 90 || !strings.Contains(string(rest), "\r\n221 ") {
					t.Errorf("%d of 90 NOOPs were answered", n)
				}
			case strings.HasPrefix(name, "more"):
				if n := strings.Count(string(rest), "252 "); n != 90 {
					t.Errorf("%d of 90 VRFYs were answered", n)
				}
			case len(rest) > 0:
				t.Errorf("after the last reply: %q", rest)
			}
			testkit.Eventually(t, "all resources are released", func() bool {
				return s.shared.SessionsOpen() == 0 && s.shared.Budget.Used() == 0 && s.seen.now.Load() == 0
			})
		})
	}
}

// TestHalfClosedLeavesNoDescriptor checks that the duplicates of half-closed connections
// are closed with them.
func TestHalfClosedLeavesNoDescriptor(t *testing.T) {
	s := start(t)
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := open() + 2*acceptorsPerLoop // each acceptor comes to hold a spare descriptor
	for range 100 {
		s.store.holdAll()
		c, r := s.dial(t)
		_, _ = io.WriteString(c, "HELO c.example.org\r\n"+transaction+"text\r\n.\r\nQUIT\r\n")
		_ = c.(*net.TCPConn).CloseWrite()
		testkit.Eventually(t, "the store holds the message", func() bool { return s.store.waiting() == 1 })
		s.store.release()
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	testkit.Eventually(t, "all descriptors are closed", func() bool { return open() <= before })
}

// TestResetEndsSession checks that a reset ends the session, even if replies are pending.
func TestResetEndsSession(t *testing.T) {
	s := start(t)
	c, _ := s.sendHeld(t)
	_ = c.SetLinger(0)
	_ = c.Close()
	testkit.Eventually(t, "the session ends", func() bool { return s.shared.SessionsOpen() == 0 })
	s.store.release()
	testkit.Eventually(t, "body memory is free", func() bool { return s.shared.Budget.Used() == 0 })
}

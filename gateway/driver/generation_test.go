package driver

import (
	"strings"
	"testing"
	"time"

	"sluice/gateway/session"
)

// TestReload: a session keeps what EHLO announced until its next HELO or EHLO, and a new
// session has the newest settings. What belongs to no session changes at a tick.
func TestReload(t *testing.T) {
	o := testOptions()
	o.ConnectionsPerIP = 10
	w := newWorld(t, o)
	before, idle := w.connect(), w.connect()
	before.send(ehlo)
	before.hear()
	idle.hear()

	limits := testLimits()
	limits.MessageSize = 70_000
	next := o.Generation
	next.Timeouts.Command, next.Timeouts.Greeting = time.Minute, time.Minute
	next.ConnectionsPerIP = 2
	next.Settings = map[*Listener]*session.Settings{
		&w.listener: session.NewSettings("mx2.example.net", limits, session.AcceptDomains([]string{"example.com"})),
	}
	w.shared.Reload(next)

	for _, c := range []struct {
		s               *memorySocket
		command, answer string
	}{
		{before, "MAIL FROM:<a@example.com> SIZE=100000", "250 "},
		{before, "RCPT TO:<b@example.com>", "550 5.7.1 "},
		{before, "RCPT TO:<b@example.net>", "250 "},
		{before, "EHLO again.example", "250-mx2.example.net\r\n250-PIPELINING\r\n250-SIZE 70000\r\n"},
		{before, "MAIL FROM:<a@example.com> SIZE=100000", "552 "},
		{before, "MAIL FROM:<a@example.com>", "250 "},
		{before, "RCPT TO:<b@example.net>", "550 5.7.1 "},
		{before, "RCPT TO:<b@example.com>", "250 "},
		{idle, "HELO client.example", "250 mx2.example.net\r\n"},
		{idle, "MAIL FROM:<a@example.com> SIZE=100000", "552 "},
	} {
		c.s.send(c.command + "\r\n")
		if got := c.s.hear(); !strings.HasPrefix(got, c.answer) {
			t.Errorf("%s: %q, want %s", c.command, got, c.answer)
		}
	}
	if got := w.connect().hear(); !strings.HasPrefix(got, "220 mx2.example.net ") { // until the tick, ten may come
		t.Errorf("a new session: %q", got)
	}
	w.advance(time.Second)
	if got := w.connect().hear(); !strings.HasPrefix(got, "421 4.7.0") && !strings.HasPrefix(got, "421 mx2") {
		t.Errorf("the fourth session of an address that may have two: %q", got)
	}
	idle.send("NOOP\r\n")
	idle.hear()
	w.advance(62 * time.Second)
	if got := idle.hear(); !strings.HasPrefix(got, "421 4.4.2 ") {
		t.Errorf("after the new timeout: %q", got)
	}
	for _, s := range w.sockets {
		s.gone()
	}
	w.clean()
}

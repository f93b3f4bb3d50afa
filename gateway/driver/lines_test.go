package driver

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/gateway/session"
	"sluice/pipeline"
)

// TestLinesOfOneSession: however many refusals a session has, a few of each second are
// logged, and those that are not are counted in the next line, or at its end.
func TestLinesOfOneSession(t *testing.T) {
	o := testOptions()
	o.Settings.Limits.RecipientErrors = 1 << 15
	w := newWorld(t, o)
	s := w.connect()
	s.send(ehlo + "MAIL FROM:<a@example.com>\r\n")
	flood := strings.Repeat("RCPT TO:<x@elsewhere.example>\r\n", 1000)
	s.send(flood)
	if n := len(w.seen.refusals); n != linesEach {
		t.Errorf("%d lines in one second", n)
	}
	w.advance(time.Second)
	s.send(flood)
	if n := len(w.seen.refusals); n != 2*linesEach {
		t.Errorf("%d lines in two seconds", n)
	}
	if got := w.seen.refusals[linesEach].LeftOut; got != 1000-linesEach {
		t.Errorf("the next line says that %d were left out", got)
	}
	if got := w.seen.replies["relay_denied"]; got != 2000 {
		t.Errorf("%d of 2,000 were counted", got)
	}
	s.gone()
	if w.seen.leftOut != 1000-linesEach {
		t.Errorf("the last line says that %d were left out", w.seen.leftOut)
	}
	w.clean()
}

// The last word of a session is logged, whatever came before it.
func TestLastWordIsLogged(t *testing.T) {
	o := testOptions()
	o.Settings.Limits.RecipientErrors = 50
	w := newWorld(t, o)
	s := w.connect()
	s.send(ehlo + "MAIL FROM:<a@example.com>\r\n" + strings.Repeat("RCPT TO:<x@elsewhere.example>\r\n", 100))
	last := w.seen.refusals[len(w.seen.refusals)-1]
	if last.Code != 421 || last.LeftOut == 0 || len(w.seen.refusals) != linesEach+1 {
		t.Errorf("%d lines, the last is %+v", len(w.seen.refusals), last)
	}
	s.gone()
	w.clean()
}

// A refusal names the recipient that it is about.
func TestRefusalNamesTheRecipient(t *testing.T) {
	w := newWorld(t, testOptions())
	w.store.err = errScripted
	s := w.connect()
	s.send(ehlo + "MAIL FROM:<a@example.com>\r\nRCPT TO:<x@elsewhere.example> NOTIFY=NEVER\r\nRCPT TO:<b@example.net>\r\n" +
		"RCPT TO:<c@example.net>\r\nRCPT TO:<broken\r\nDATA\r\n" + mailText)
	var got []string
	for _, r := range w.seen.refusals {
		got = append(got, string(r.To))
	}
	want := []string{"x@elsewhere.example", "TO:<broken", "b@example.net"}
	if strings.Join(got, " ") != strings.Join(want, " ") || w.seen.refusals[2].Recipients != 2 {
		t.Errorf("got %q, want %q", got, want)
	}
	s.gone()
	w.clean()
}

// So does that of a MAIL name the sender.
func TestRefusalNamesTheSender(t *testing.T) {
	w := newWorld(t, testOptions())
	s := w.connect()
	s.send(ehlo + "MAIL FROM:<a@example.com> SIZE=99999999999999\r\nMAIL FROM:<broken\r\nRCPT TO:<b@example.net>\r\n")
	var got []string
	for _, r := range w.seen.refusals {
		got = append(got, string(r.MailFrom)+" "+string(r.To))
	}
	if want := "a@example.com , FROM:<broken ,  b@example.net"; strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %q", strings.Join(got, ", "), want)
	}
	s.gone()
	w.clean()
}

// A refused connection's line has nothing of the session that the loop served before.
func TestRefusalNamesNobodyElse(t *testing.T) {
	o := testOptions()
	o.Admission.Connections = 1
	w := newWorld(t, o)
	s := w.connect()
	s.send(ehlo + envelope)
	w.connect()
	if r := w.seen.refusals[0]; r.Verb != "greeting" || len(r.To) > 0 || len(r.MailFrom) > 0 {
		t.Errorf("the line is %+v", r)
	}
	s.gone()
}

// A client that is gone before its answer leaves a line, wherever its message stood.
func TestLostMessageLeavesALine(t *testing.T) {
	w := newWorld(t, testOptions())
	w.store.hold = true
	s := w.connect()
	s.send(ehlo + envelope + "half a li")
	s.gone()
	s = w.connect()
	s.send(ehlo + envelope + mailText)
	s.gone()
	s = w.connect()
	s.send(ehlo + "MAIL FROM:<a@example.com>\r\n")
	s.gone() // nothing was lost
	s = w.connect()
	s.send(ehlo + envelope + "text\r\n")
	s.ends()
	w.store.release()
	w.settle()
	want := []string{"b@example.net 9 receiving reset", "b@example.net 20 store reset", "b@example.net 6 receiving closed"}
	if strings.Join(w.seen.losses, "; ") != strings.Join(want, "; ") {
		t.Errorf("got %q, want %q", w.seen.losses, want)
	}
	w.clean()
}

// TestLinesNameTheirSession: every line of a session has its id, and no other session has
// it, whoever the client is by then.
func TestLinesNameTheirSession(t *testing.T) {
	o := testOptions()
	o.XclientNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	o.Settings.Limits.RecipientErrors = 1 << 15
	w := newWorld(t, o)
	seen := map[session.ID]bool{}
	for range 3 {
		w.seen.sessions = nil
		s := w.connect()
		s.send(ehlo + "XCLIENT ADDR=198.51.100.1\r\n" + ehlo)
		s.send(envelope + mailText)
		s.send("MAIL FROM:<a@example.com>\r\n" + strings.Repeat("RCPT TO:<x@elsewhere.example>\r\n", linesEach+1))
		s.send("RCPT TO:<b@example.net>\r\nDATA\r\nhalf a li")
		s.gone()
		lines := w.seen.sessions
		if id := lines[0]; len(lines) != 1+linesEach+2 || seen[id] || slices.ContainsFunc(lines, func(other session.ID) bool { return other != id }) {
			t.Errorf("%d lines of %v, after %v", len(lines), lines, seen)
		}
		seen[lines[0]] = true
	}
	w.clean()
}

// TestAcceptanceHasItsTimes: the line of a message says when it was answered, and how long
// the store, the log and both together took.
func TestAcceptanceHasItsTimes(t *testing.T) {
	w := newWorld(t, testOptions())
	w.store.hold, w.log.hold = true, true
	s := w.connect()
	s.send(ehlo + envelope + mailText)
	w.advance(2 * time.Second)
	w.store.release()
	w.settle()
	w.advance(3 * time.Second)
	w.log.release()
	w.settle()
	if len(w.seen.accepted) != 1 {
		t.Fatalf("%d messages accepted", len(w.seen.accepted))
	}
	a := w.seen.accepted[0]
	store, log := w.seen.took[0][pipeline.StageStoring], w.seen.took[0][pipeline.StagePublishing]
	if a.Took != 5*time.Second || store != 2*time.Second || log != 3*time.Second || !a.At.Equal(w.now) {
		t.Errorf("took %v, in the store %v, in the log %v, at %v", a.Took, store, log, a.At)
	}
	w.store.hold, w.log.hold = false, false
	s.send(envelope + mailText)
	if took := w.seen.took[1]; took != [pipeline.StageDone]time.Duration{} {
		t.Errorf("the next has %v", took)
	}
	s.gone()
	w.clean()
}

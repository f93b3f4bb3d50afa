package session

import (
	"errors"
	"testing"

	"sluice/pipeline"
)

// strictest returns settings that end a session at the first refusal.
func strictest() *Settings {
	limits := testLimits()
	limits.CommandErrors, limits.RecipientErrors = 1, 1
	return NewSettings("mx.example.net", limits, AcceptDomains([]string{"example.net"}))
}

// TestWhatCounts checks which refusals count as command errors, which as refused
// recipients and messages, and which not at all.
func TestWhatCounts(t *testing.T) {
	const errs, refusals, nothing = "command_errors", "recipient_errors", ""
	for _, c := range []struct{ place, line, want string }{
		{"ready", "nonsense", errs},
		{"ready", "", errs},
		{"ready", "N\x00OP", errs},
		{"ready", "EHLO", errs},
		{"ready", "AUTH PLAIN", errs},
		{"ready", "RCPT TO:<b@example.net>", errs},
		{"ready", "MAIL FROM:<", errs},
		{"ready", "MAIL FROM:<> X=Y", errs}, // 555
		{"ready", "MAIL FROM:<> SIZE=9999999", refusals},
		{"mail", "RCPT TO:<b@example.com>", refusals},
		{"mail", "VRFY b@example.com", refusals},
		{"mail", "DATA", refusals}, // 554: no recipient was accepted
		{"mail", "RCPT TO:<b@example.net>", nothing},
		{"ready", "VRFY b@example.net", nothing},
		{"ready", "NOOP", nothing},
		{"rcpt", "RSET", nothing},
	} {
		k := at(t, strictest(), c.place)
		k.line(c.line)
		got := ""
		if k.Exhausted() {
			got = cause(k.kind(Exhausted).Reply)
			if k.Phase() != PhaseClosed {
				t.Errorf("%s: %q: in %v", c.place, c.line, k.Phase())
			}
		}
		if got != c.want {
			t.Errorf("%s: %q ends with %q, want %q", c.place, c.line, got, c.want)
		}
	}
}

// TestFailedMessagesCount checks that a message counts as a refusal at whatever stage it
// fails, also if it was refused for lack of memory. A reply that closes the session does
// not count.
func TestFailedMessagesCount(t *testing.T) {
	full := &pipeline.Failure{Kind: pipeline.KindFull, Op: "test"}
	for name, fail := range map[string]func() *talk{
		"no memory": func() *talk { k := at(t, strictest(), "credit"); k.kind(TimedOut); return k },
		"receiving": func() *talk { k := at(t, strictest(), "body"); k.body("\r\n", full, 0); return k },
		"storing": func() *talk {
			k := at(t, strictest(), "outcome")
			k.Message().Result.Err = full
			k.kind(Outcome)
			return k
		},
		"overdue": func() *talk { k := at(t, strictest(), "outcome"); k.kind(TimedOut); return k },
	} {
		if k := fail(); !k.Exhausted() {
			t.Errorf("%s: does not count", name)
		}
	}
	k := at(t, strictest(), "outcome")
	k.Message().Result.Err = &pipeline.Failure{Kind: pipeline.KindSmuggling, Op: "test"}
	if k.kind(Outcome); k.Exhausted() {
		t.Error("a session that is closed is to end once more")
	}
	k = at(t, strictest(), "outcome")
	if k.kind(Outcome); k.Exhausted() {
		t.Error("a message that was accepted counts")
	}
}

// TestExhaustedBetweenCommands checks that a session is never exhausted while a message
// is in flight.
func TestExhaustedBetweenCommands(t *testing.T) {
	k := at(t, testSettings(), "rcpt")
	k.errors = uint16(k.settings.Limits.CommandErrors)
	for _, step := range []struct {
		phase Phase
		then  func()
	}{
		{PhaseCommand, func() { k.line("DATA") }},
		{PhaseCredit, func() { k.kind(CreditGranted) }},
		{PhaseBody, func() { k.body("\r\n", nil, 0) }},
		{PhaseOutcome, func() {}},
	} {
		if got := k.Exhausted(); got != (step.phase == PhaseCommand) || k.Phase() != step.phase {
			t.Errorf("in %v, want %v: %v", k.Phase(), step.phase, got)
		}
		step.then()
	}
}

// TestSurplusRecipients checks that up to a thousand recipients over the limit are not
// held against a client that pipelines all of them.
func TestSurplusRecipients(t *testing.T) {
	limits := testLimits()
	limits.Recipients, limits.RecipientErrors = 1, 1
	k := at(t, NewSettings("mx.example.net", limits, AcceptAny()), "rcpt")
	for i := range surplusRecipients {
		if got := cause(k.line("RCPT TO:<c@example.net>").Reply); got != "recipients" || k.Exhausted() {
			t.Fatalf("recipient %d: %q, exhausted %v", i+1, got, k.Exhausted())
		}
	}
	if k.line("RCPT TO:<c@example.net>"); !k.Exhausted() {
		t.Error("there is no end to it")
	}
}

// TestForgiven checks that an accepted message resets the counters, and a failed one does
// not.
func TestForgiven(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want [4]uint16
	}{
		"accepted": {nil, [4]uint16{}},
		"failed":   {errors.New("not today"), [4]uint16{1, 3, 3, 2}},
	} {
		k := at(t, testSettings(), "outcome")
		k.errors, k.refusals, k.surplus, k.junk = 1, 2, 3, 2
		k.Message().Result.Err = c.err
		k.kind(Outcome)
		if got := [4]uint16{k.errors, k.refusals, k.surplus, k.junk}; got != c.want {
			t.Errorf("%s: errors, refusals, surplus, junk %v, want %v", name, got, c.want)
		}
	}
}

// TestJunkCommands checks that commands that do not advance a message are answered up to
// their limit, and that the first HELO does not count.
func TestJunkCommands(t *testing.T) {
	lines := map[string]string{
		"NOOP": "ok", "HELP": "help", "VRFY b@example.net": "vrfy", "RSET": "ok",
		"EHLO again.example.org": "ehlo", "HELO again.example.org": "helo",
	}
	for line, want := range lines {
		k := at(t, testSettings(), "rcpt")
		held := k.Message()
		for i := range k.settings.Limits.JunkCommands {
			if got := cause(k.line(line).Reply); got != want {
				t.Errorf("%s %d: %q", line, i+1, got)
			}
		}
		if got := cause(k.line(line).Reply); got != "junk_commands" || k.Phase() != PhaseClosed {
			t.Errorf("%s: one too many is answered %q", line, got)
		}
		if len(k.released) != 1 || k.released[0] != held {
			t.Errorf("%s: let go of %d messages", line, len(k.released))
		}
	}
}

// TestMessagesOfASession checks that every reply to a final dot counts as a message of
// the session, and that a transaction that ends before that does not.
func TestMessagesOfASession(t *testing.T) {
	limits := testLimits()
	limits.Messages, limits.RecipientErrors = 2, 10
	settings := NewSettings("mx.example.net", limits, AcceptAny())
	again := func(k *talk) string { return cause(k.line("MAIL FROM:<a@example.org>").Reply) }

	k := at(t, settings, "rcpt")
	for range 3 {
		if k.line("RSET"); again(k) != "sender" {
			t.Fatal("a transaction that was reset counts")
		}
	}
	k.line("RCPT TO:<b@example.net>")
	k.line("DATA")
	if k.kind(TimedOut); again(k) != "sender" {
		t.Fatal("a transaction without memory counts")
	}
	for i, want := range []string{"sender", "messages"} {
		k.line("RCPT TO:<b@example.net>")
		k.line("DATA")
		k.kind(CreditGranted)
		k.body("\r\n", errors.New("not today"), 0)
		if got := again(k); got != want {
			t.Fatalf("behind message %d: %q, want %q", i+1, got, want)
		}
	}
	if k.Phase() != PhaseClosed {
		t.Errorf("in %v", k.Phase())
	}
}

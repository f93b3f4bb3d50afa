package session

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sluice/codec"
	"sluice/pipeline"
)

// following lists the phases to which a step may lead from each phase.
var following = map[Phase][]Phase{
	PhaseCommand: {PhaseCommand, PhaseCredit, PhaseClosed},
	PhaseCredit:  {PhaseCredit, PhaseBody, PhaseCommand, PhaseClosed},
	PhaseBody:    {PhaseBody, PhaseOutcome, PhaseCommand, PhaseClosed},
	PhaseOutcome: {PhaseOutcome, PhaseCommand, PhaseClosed},
	PhaseClosed:  {PhaseClosed},
}

// usual and unusual list the events that a driver may bring in each phase, anyTime those
// that it may bring in all. A closed session may receive any event.
var (
	usual = map[Phase][]EventKind{
		PhaseCommand: {Commanded},
		PhaseCredit:  {CreditGranted},
		PhaseBody:    {BodyEnded},
		PhaseOutcome: {Outcome},
		PhaseClosed:  {Opened, Commanded, InputBehindData, CreditGranted, BodyEnded, BodyOverflowed, Outcome, Exhausted},
	}
	unusual = map[Phase][]EventKind{
		PhaseCommand: {InputBehindData},
		PhaseBody:    {BodyOverflowed},
	}
	anyTime = []EventKind{InputAhead, PauseFailed, TimedOut, Drained}
)

// next lists the lines that advance a message, by the state of the session.
var next = map[codec.State][]string{
	codec.StateStart: {"EHLO client.example.org", "HELO client.example.org"},
	codec.StateReady: {"MAIL FROM:<a@example.org>", "MAIL FROM:<> SIZE=1000 BODY=8BITMIME"},
	codec.StateMail:  {"RCPT TO:<b@example.net>", "RCPT TO:<Postmaster>"},
	codec.StateRcpt:  {"DATA", "RCPT TO:<b@example.net>"},
}

var otherLines = []string{
	"RCPT TO:<b@example.com>", "NOOP", "RSET", "VRFY b@example.net", "EHLO again.example.org", "DATA", "MAIL FROM:<a@example.org>",
	"RCPT TO:<>", "EHLO", "DATA x", "MAIL FROM:<a@example.org> SIZE=9999999", "MAIL FROM:<a..b@example.org>", "MAIL FROM:<> X=Y",
	"HELP", "AUTH PLAIN", "nonsense", "", "N\x00OP", "VRFY b@example.com", "GET / HTTP/1.1", "QUIT",
}

// drawEvent draws an event that may now happen to the session. Usual events have small
// numbers, because rapid draws these more often.
func drawEvent(t *rapid.T, k *talk) Event {
	kinds := usual[k.Phase()]
	if rapid.IntRange(0, 99).Draw(t, "unusual") > 90 {
		kinds = slices.Concat(anyTime, unusual[k.Phase()])
	}
	ev := Event{Kind: rapid.SampledFrom(kinds).Draw(t, "event")}
	switch ev.Kind {
	case Commanded:
		lines := next[k.state]
		if rapid.IntRange(0, 99).Draw(t, "other") > 50 {
			lines = otherLines
		}
		ev.Command = command(t, rapid.SampledFrom(lines).Draw(t, "line"))
		ev.NoMemory = rapid.IntRange(0, 99).Draw(t, "no memory") > 90
		ev.EventLimit = rapid.SampledFrom([]int64{0, 1 << 20, 4000, 2500}).Draw(t, "event limit")
		if rapid.IntRange(0, 99).Draw(t, "shed") > 95 {
			ev.Shed = "lag"
		}
	case BodyEnded, BodyOverflowed, Outcome:
		if m := k.Message(); m != nil && rapid.IntRange(0, 99).Draw(t, "fails") > 50 {
			m.Result.Err = &pipeline.Failure{Kind: rapid.SampledFrom(pipeline.FailureKinds()).Draw(t, "kind"), Op: "test"}
		}
	}
	return ev
}

// checkStep checks the invariants of a step that took ev in phase before and returned a.
func checkStep(t *rapid.T, k *talk, ev Event, before Phase, a Actions) {
	if !slices.Contains(following[before], k.Phase()) {
		t.Fatalf("from %v to %v", before, k.Phase())
	}
	if closes := a.Reply != nil && a.Reply.Close; closes != (k.Phase() == PhaseClosed) && before != PhaseClosed {
		t.Fatalf("in %v after %q", k.Phase(), cause(a.Reply))
	}
	if before == PhaseClosed && a.Reply != nil {
		t.Fatalf("a last word was followed by %q", a.Reply.Cause)
	}
	switch holds := k.Message() != nil; {
	case k.Phase() == PhaseClosed && holds:
		t.Fatal("closed with a message")
	case k.Phase() != PhaseCommand && k.Phase() != PhaseClosed && !holds:
		t.Fatalf("in %v without a message", k.Phase())
	}
	answered := a.Reply != nil || a.Do == DoCredit || a.Do == DoCommit || ev.Kind == Drained
	if before != PhaseClosed && !answered {
		t.Fatalf("nobody answers event %d", ev.Kind)
	}
	if a.Do == DoCredit && k.Phase() != PhaseCredit || a.Do == DoReceive && k.Phase() != PhaseBody || a.Do == DoCommit && k.Phase() != PhaseOutcome {
		t.Fatalf("does %d in %v", a.Do, k.Phase())
	}
	if r := a.Reply; r != nil {
		if want := enhanced(r); (r.Enhanced[0] != 0) != want || want && uint16(r.Enhanced[0]) != r.Code/100 {
			t.Fatalf("%d %v %s", r.Code, r.Enhanced, r.Cause)
		}
		if (a.Arg != nil) != (r == codec.ReplyAccepted) {
			t.Fatalf("%q behind %q", a.Arg, r.Cause)
		}
	}
}

// enhanced reports whether a reply has an enhanced code. All have one except 3xx, the
// greeting and the replies to HELO and EHLO (RFC 2034 §4).
func enhanced(r *codec.Reply) bool {
	return r.Code/100 != 3 && !slices.Contains([]string{"greeting", "helo", "ehlo"}, r.Cause)
}

// anySession plays a session of arbitrary events as the driver does, next to a second
// session that receives the same events.
func anySession(t *rapid.T) {
	limits := testLimits()
	limits.CommandErrors = rapid.IntRange(1, 8).Draw(t, "command errors")
	limits.RecipientErrors = rapid.IntRange(1, 8).Draw(t, "recipient errors")
	limits.JunkCommands = rapid.IntRange(1, 8).Draw(t, "junk commands")
	limits.Messages = rapid.IntRange(1, 8).Draw(t, "messages")
	settings := NewSettings("mx.example.net", limits, AcceptDomains([]string{"example.net"}))
	k, other := newTalk(t, settings), newTalk(t, settings)
	step := func(ev Event) Actions {
		before := k.Phase()
		if m := k.Message(); m != nil {
			other.Message().Result.Err = m.Result.Err
		}
		a := k.event(ev)
		checkStep(t, k, ev, before, a)
		b := other.event(ev)
		if cause(a.Reply) != cause(b.Reply) || a.Do != b.Do || a.Leniency != b.Leniency || k.Phase() != other.Phase() ||
			!reflect.DeepEqual(a.Err, b.Err) {
			t.Fatalf("%+v, and with the same history %+v", a, b)
		}
		return a
	}
	step(Event{Kind: Opened})
	for range rapid.IntRange(20, 200).Draw(t, "events") {
		step(drawEvent(t, k))
		// As the driver does after each step.
		if k.Exhausted() && cause(step(Event{Kind: Exhausted}).Reply) == "" {
			t.Fatal("too much was refused, and the session goes on")
		}
		if k.Settled() && cause(step(Event{Kind: Drained}).Reply) != "draining" {
			t.Fatal("the process ends, and the session goes on")
		}
	}
	if m := k.Abandon(); m != nil {
		k.released = append(k.released, m)
	}
	if !slices.Equal(k.taken, k.released) {
		t.Fatalf("took %d messages and let go of %d", len(k.taken), len(k.released))
	}
}

func TestAnySession(t *testing.T) { rapid.Check(t, anySession) }

func FuzzAnySession(f *testing.F) { f.Fuzz(rapid.MakeFuzz(anySession)) }

// TestEveryReplyHasItsCode checks that every reply follows RFC 2034 §4 and RFC 3463 §2,
// including those that no session returns by itself.
func TestEveryReplyHasItsCode(t *testing.T) {
	for _, r := range codec.Replies() {
		if want := enhanced(r); (r.Enhanced[0] != 0) != want || want && uint16(r.Enhanced[0]) != r.Code/100 {
			t.Errorf("%d %v %s", r.Code, r.Enhanced, r.Cause)
		}
		if closes := r.Code == 421 || r.Code == 221; closes && !r.Close {
			t.Errorf("%s does not close", r.Cause) // RFC 5321 §3.8
		}
	}
}

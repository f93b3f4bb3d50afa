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
	PhaseCommand:  {PhaseCommand, PhaseCredit, PhaseResponse, PhaseAuth, PhaseClosed},
	PhaseCredit:   {PhaseCredit, PhaseBody, PhaseCommand, PhaseClosed},
	PhaseBody:     {PhaseBody, PhaseOutcome, PhaseCommand, PhaseClosed},
	PhaseOutcome:  {PhaseOutcome, PhaseCommand, PhaseClosed},
	PhaseResponse: {PhaseResponse, PhaseAuth, PhaseCommand, PhaseClosed},
	PhaseAuth:     {PhaseAuth, PhaseResponse, PhaseCommand, PhaseClosed},
	PhaseClosed:   {PhaseClosed},
}

// usual and unusual list the events that a driver may bring in each phase, anyTime those
// that it may bring in all. A closed session may receive any event.
var (
	usual = map[Phase][]EventKind{
		PhaseCommand:  {Commanded},
		PhaseCredit:   {CreditGranted},
		PhaseBody:     {BodyEnded},
		PhaseOutcome:  {Outcome},
		PhaseResponse: {Responded},
		PhaseAuth:     {Judged},
		PhaseClosed: {
			Opened, Commanded, Responded, Judged, InputBehindData, CreditGranted, BodyEnded, BodyOverflowed, Outcome, Exhausted,
		},
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
	"HELP", "AUTH PLAIN", "AUTH PLAIN " + goodPlain, "AUTH PLAIN =", "AUTH LOGIN", "AUTH LOGIN YW5u", "AUTH XOAUTH2 " + goodToken,
	"AUTH XOAUTH2", "AUTH CRAM-MD5", "AUTH", "nonsense", "", "N\x00OP", "VRFY b@example.com", "GET / HTTP/1.1", "QUIT",
}

// Responses of AUTH: a name and a password, a name and a token, and others.
const (
	goodPlain = "AGFubgBzZWNyZXQ="
	goodToken = "dXNlcj1hbm4BYXV0aD1CZWFyZXIgdG9rZW4BAQ=="
)

var authLines = []string{"AUTH PLAIN " + goodPlain, "AUTH XOAUTH2 " + goodToken, "AUTH LOGIN YW5u", "AUTH PLAIN", "AUTH XOAUTH2"}

var responses = []string{goodPlain, goodToken, "YW5u", "AQ==", "*", "", "!", "AGFubgBzZWNyZXR="}

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
		if k.state == codec.StateReady && k.settings.Role == pipeline.RoleSubmission && k.known().auth == nil {
			lines = authLines
		}
		if rapid.IntRange(0, 99).Draw(t, "other") > 50 {
			lines = otherLines
		}
		ev.Command = command(t, rapid.SampledFrom(lines).Draw(t, "line"))
		ev.NoMemory = rapid.IntRange(0, 99).Draw(t, "no memory") > 90
		ev.EventLimit = rapid.SampledFrom([]int64{0, 1 << 20, 7000, 5500}).Draw(t, "event limit")
		if rapid.IntRange(0, 99).Draw(t, "shed") > 95 {
			ev.Shed = "lag"
		}
	case Responded:
		ev.Command.Arg = []byte(rapid.SampledFrom(responses).Draw(t, "response"))
		if rapid.IntRange(0, 99).Draw(t, "bad") > 90 {
			ev.Command = codec.Command{Fault: rapid.SampledFrom([]codec.Fault{codec.FaultLineTooLong, codec.FaultSyntax}).Draw(t, "fault")}
		}
	case Judged:
		ev.Answer.Verdict = rapid.SampledFrom([]Verdict{AuthAccepted, AuthRefused, AuthUnavailable}).Draw(t, "verdict")
		ev.Answer.Reason = "reason"
		if ev.Answer.Verdict == AuthAccepted {
			ev.Answer = Answer{Verdict: AuthAccepted, Identity: "ann@example.org", Backend: "test"}
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
	case slices.Contains([]Phase{PhaseCredit, PhaseBody, PhaseOutcome}, k.Phase()) && !holds:
		t.Fatalf("in %v without a message", k.Phase())
	case (k.Phase() == PhaseResponse || k.Phase() == PhaseAuth) && holds:
		t.Fatalf("in %v with a message", k.Phase())
	}
	checkAuth(t, k, ev, before, a)
	answered := a.Reply != nil || a.Do == DoCredit || a.Do == DoCommit || a.Do == DoAuthenticate || ev.Kind == Drained
	if before != PhaseClosed && !answered {
		t.Fatalf("nobody answers event %d", ev.Kind)
	}
	if a.Do == DoCredit && k.Phase() != PhaseCredit || a.Do == DoReceive && k.Phase() != PhaseBody || a.Do == DoCommit && k.Phase() != PhaseOutcome ||
		a.Do == DoAuthenticate && k.Phase() != PhaseAuth {
		t.Fatalf("does %d in %v", a.Do, k.Phase())
	}
	if r := a.Reply; r != nil {
		if want := enhanced(r); (r.Enhanced[0] != 0) != want || want && uint16(r.Enhanced[0]) != r.Code/100 {
			t.Fatalf("%d %v %s", r.Code, r.Enhanced, r.Cause)
		}
		says := r == codec.ReplyAccepted || r == codec.ReplyChallenge && len(a.Arg) > 0
		explains := r == codec.ReplyAuthRefused && k.settings.auth.Explain
		if (len(a.Arg) > 0) != (says || explains) {
			t.Fatalf("%q behind %q", a.Arg, r.Cause)
		}
	}
}

// checkAuth checks the invariants of AUTH: a client is accepted by a verdict alone and says
// nothing meanwhile, and a listener for submission takes no mail from anybody else.
func checkAuth(t *rapid.T, k *talk, ev Event, before Phase, a Actions) {
	if accepts := before == PhaseAuth && ev.Kind == Judged && ev.Answer.Verdict == AuthAccepted; accepts != (a.Reply == codec.ReplyAuthenticated) {
		t.Fatalf("%q to the verdict %d in %v", cause(a.Reply), ev.Answer.Verdict, before)
	}
	if (a.Reply == codec.ReplyAuthenticated) && k.known().auth == nil {
		t.Fatal("accepted, and nobody")
	}
	if before == PhaseAuth && ev.Kind == Judged && a.Reply == nil {
		t.Fatal("no answer to an attempt")
	}
	if a.Reply == codec.ReplyAuthUnavailable && ev.Answer.Verdict != AuthUnavailable ||
		a.Reply == codec.ReplyAuthRefused && ev.Kind == Judged && ev.Answer.Verdict != AuthRefused {
		t.Fatalf("%q to the verdict %d", cause(a.Reply), ev.Answer.Verdict)
	}
	if m := k.Message(); m != nil && k.settings.Role == pipeline.RoleSubmission && m.Client.Auth == nil {
		t.Fatal("mail of somebody who has not authenticated")
	}
	if k.OwesRefusal() && k.Phase() != PhaseResponse && k.Phase() != PhaseClosed {
		t.Fatalf("a refused token is still due its reply in %v", k.Phase())
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
	if rapid.Bool().Draw(t, "submission") {
		settings.Role = pipeline.RoleSubmission
		settings.SetAuth(AuthPolicy{
			Passwords: rapid.Bool().Draw(t, "passwords"), Tokens: rapid.Bool().Draw(t, "tokens"), PlainText: true,
			Explain: rapid.Bool().Draw(t, "explain"),
		})
	}
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

package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/codec"
	"sluice/pipeline"
)

// TestOutcomes checks the reply to every kind of failure. Each has its own cause, so that
// metrics and logs can tell them apart.
func TestOutcomes(t *testing.T) {
	want := map[pipeline.Kind]string{
		pipeline.KindNone:          "250 2.0.0 accepted",
		pipeline.KindTemporary:     "451 4.3.0 temporary",
		pipeline.KindTimeout:       "451 4.3.0 overdue",
		pipeline.KindFull:          "452 4.3.1 store_full",
		pipeline.KindMemory:        "452 4.3.1 body_memory",
		pipeline.KindTooLarge:      "552 5.3.4 too_large",
		pipeline.KindEventTooLarge: "552 5.3.4 event_too_large",
		pipeline.KindLoop:          "554 5.4.6 mail_loop",
		pipeline.KindPolicy:        "550 5.7.1 policy",
		pipeline.KindSmuggling:     "554 5.6.0 smuggling",
		pipeline.KindPermanent:     "554 5.3.0 permanent",
		pipeline.KindDMARC:         "550 5.7.1 dmarc",
		pipeline.KindSPF:           "550 5.7.23 spf",
		pipeline.KindSPFError:      "451 4.7.24 spf_error",
		pipeline.KindUnverified:    "451 4.7.0 unverified",
	}
	kinds := append([]pipeline.Kind{pipeline.KindNone}, pipeline.FailureKinds()...)
	if len(outcomes) != len(kinds) {
		t.Errorf("the table has %d rows for %d kinds", len(outcomes), len(kinds))
	}
	for _, kind := range kinds {
		var err error
		if kind != pipeline.KindNone {
			err = fmt.Errorf("wrapped: %w", &pipeline.Failure{Kind: kind, Op: "test"})
		}
		// A message can fail while it is received, or later.
		received := at(t, testSettings(), "body")
		answers := map[string]func() (*talk, Actions){
			"the pipeline": func() (*talk, Actions) {
				k := at(t, testSettings(), "outcome")
				k.Message().Result.Err = err
				return k, k.kind(Outcome)
			},
		}
		if err != nil {
			answers["receiving"] = func() (*talk, Actions) { return received, received.body("\r\n", err, 0) }
		}
		for where, answer := range answers {
			k, a := answer()
			if a.Reply == nil {
				t.Fatalf("%v by %s: no reply", kind, where)
			}
			if got := fmt.Sprintf("%d %v %s", a.Reply.Code, a.Reply.Enhanced, a.Reply.Cause); got != want[kind] {
				t.Errorf("%v by %s: %s, want %s", kind, where, got, want[kind])
			}
			if a.Do != DoRelease || !errors.Is(a.Err, err) {
				t.Errorf("%v by %s: does %d, the log gets %v", kind, where, a.Do, a.Err)
			}
			phase := PhaseCommand
			if a.Reply.Close {
				phase = PhaseClosed
			}
			if k.Phase() != phase {
				t.Errorf("%v by %s: goes on with %v", kind, where, k.Phase())
			}
			if id := string(a.Message.IDText()); string(a.Arg) != id && kind == pipeline.KindNone || a.Arg != nil && kind != pipeline.KindNone {
				t.Errorf("%v by %s: %q behind the reply, the message is %s", kind, where, a.Arg, id)
			}
		}
	}
}

// TestRefusalTellsTheDomain shows what follows the text of a refusal.
func TestRefusalTellsTheDomain(t *testing.T) {
	k := at(t, testSettings(), "outcome")
	k.Message().Result.Err = &pipeline.Failure{Kind: pipeline.KindDMARC, Op: "test", Told: "example.com"}
	if a := k.kind(Outcome); a.Reply != codec.ReplyDMARC || string(a.Arg) != "example.com" {
		t.Errorf("got %+v with %q", a.Reply, a.Arg)
	}
}

// TestUnknownFailureIsTemporary checks that an error without a kind counts as temporary.
func TestUnknownFailureIsTemporary(t *testing.T) {
	k := at(t, testSettings(), "outcome")
	k.Message().Result.Err = errors.New("a disk is on fire")
	if a := k.kind(Outcome); a.Reply != codec.ReplyTemporary {
		t.Errorf("answered %q", cause(a.Reply))
	}
}

// TestMailLoop checks that a looping message is refused at its final dot and never
// stored.
func TestMailLoop(t *testing.T) {
	for received, want := range map[int]string{100: "", 101: "mail_loop"} {
		k := at(t, testSettings(), "body")
		a := k.body(strings.Repeat("Received: x\r\n", received)+"\r\n", nil, 0)
		if cause(a.Reply) != want || (a.Do == DoCommit) != (want == "") {
			t.Errorf("%d Received: %q, does %d", received, cause(a.Reply), a.Do)
		}
	}
}

// TestBodyOverflowed checks that a far too large message ends the session at once, and
// that padding does not hide that it is ambiguous.
func TestBodyOverflowed(t *testing.T) {
	for want, err := range map[string]error{
		"far_too_large": &pipeline.Failure{Kind: pipeline.KindTooLarge, Op: "receive"},
		"smuggling":     &pipeline.Failure{Kind: pipeline.KindSmuggling, Op: "receive"},
	} {
		k := at(t, testSettings(), "body")
		k.Message().Result.Err = err
		if a := k.kind(BodyOverflowed); cause(a.Reply) != want || k.Phase() != PhaseClosed || a.Do != DoRelease {
			t.Errorf("%q in %v, does %d, want %q", cause(a.Reply), k.Phase(), a.Do, want)
		}
	}
}

// TestEventLimit checks at which command a message is refused whose event would be too
// large for the log.
func TestEventLimit(t *testing.T) {
	rcpt := func(k *talk, limit int64) string {
		return cause(k.event(Event{Kind: Commanded, Command: command(t, "RCPT TO:<b@example.net>"), EventLimit: limit}).Reply)
	}
	first := at(t, testSettings(), "mail").Message().EventBound() + pipeline.RecipientBound([]byte("b@example.net"))
	second := first + pipeline.RecipientBound([]byte("b@example.net"))
	for _, c := range []struct {
		name          string
		limit         int64
		first, second string
	}{
		{"not known yet", 0, "recipient", "recipient"},
		{"none fits", first - 1, "event_too_large", "event_too_large"},
		{"one fits", first, "recipient", "envelope_full"},
		{"two fit, but for the Message-ID", second + pipeline.MessageIDReserve - 1, "recipient", "envelope_full"},
		{"two fit", second + pipeline.MessageIDReserve, "recipient", "recipient"},
	} {
		k := at(t, testSettings(), "mail")
		if got := [2]string{rcpt(k, c.limit), rcpt(k, c.limit)}; got != [2]string{c.first, c.second} {
			t.Errorf("%s: %q, want %q and %q", c.name, got, c.first, c.second)
		}
	}
	// The limit can shrink, or a Message-ID can use the room that one recipient has left.
	k := at(t, testSettings(), "body")
	bound := k.Message().EventBound()
	if a := k.body("Message-ID: <1@example.org>\r\n\r\n", nil, bound); a.Reply != codec.ReplyEventTooLarge || a.Do != DoRelease {
		t.Errorf("one more octet than the log takes: %q", cause(a.Reply))
	}
	k = at(t, testSettings(), "body")
	if a := k.body("\r\n", nil, bound); a.Do != DoCommit {
		t.Errorf("as many octets as the log takes: %q", cause(a.Reply))
	}
}

// TestArguments checks the reply to each bad argument, with the codes required by RFC
// 5321 §4.1.1.11 and §4.2.4 and by RFC 3463.
func TestArguments(t *testing.T) {
	long := strings.Repeat("a", 65)
	for _, c := range []struct{ place, line, want string }{
		{"greeted", "HELO", "501 5.5.4 bad_argument"},
		{"greeted", "EHLO a b", "501 5.5.4 bad_argument"},
		{"ready", "MAIL", "501 5.1.7 bad_reverse_path"},
		{"ready", "MAIL FROM:<" + long + "@example.org>", "501 5.1.7 bad_reverse_path"},
		{"ready", "MAIL FROM:<a@example.org>X", "501 5.1.7 bad_reverse_path"},
		{"ready", "MAIL FROM:<a@example.org> SIZE=x", "501 5.5.4 bad_argument"},
		{"ready", "MAIL FROM:<a@example.org> SIZE=1 SIZE=1", "501 5.5.4 bad_argument"},
		{"ready", "MAIL FROM:<a@example.org> AUTH", "501 5.5.4 bad_argument"},
		{"ready", "MAIL FROM:<a@example.org> AUTH=<> AUTH=<>", "501 5.5.4 bad_argument"},
		{"ready", "MAIL FROM:<a@example.org> SIZE=1048577", "552 5.3.4 too_large"},
		{"mail", "RCPT TO:<>", "501 5.1.3 bad_forward_path"},
		{"mail", "RCPT TO:<b@example.net> =", "501 5.5.4 bad_argument"},
		{"mail", "RCPT TO:<b@example.net> NOTIFY=NEVER", "555 5.5.4 unknown_parameter"},
		{"mail", "RCPT TO:<b@example.com>", "550 5.7.1 relay_denied"},
		{"rcpt", "DATA now", "501 5.5.4 bad_argument"},
		{"rcpt", "RSET now", "501 5.5.4 bad_argument"},
		{"rcpt", "QUIT now", "501 5.5.4 bad_argument"},
		{"rcpt", "VRFY", "501 5.5.4 bad_argument"},
		{"rcpt", "VRFY b@example.com", "550 5.7.1 relay_denied"},
		{"rcpt", "VRFY b@example.net", "252 2.0.0 vrfy"},
		{"rcpt", "VRFY Postmaster", "252 2.0.0 vrfy"},
		{"rcpt", "EXPN list", "502 5.5.1 not_implemented"},
		{"rcpt", "BDAT 1 LAST", "502 5.5.1 not_implemented"},
		{"rcpt", "MAIL FROM:<>", "503 5.5.1 nested_mail"},
		{"rcpt", "N\x00OP", "500 5.5.2 bad_line"},
		{"rcpt", "NOOP \xff", "500 5.5.2 bad_line"},
		{"rcpt", "", "500 5.5.1 unknown_command"},
		{"rcpt", "NOOP " + strings.Repeat("a", 4096), "500 5.5.2 line_too_long"},
	} {
		k := at(t, testSettings(), c.place)
		held := k.Message()
		a := k.line(c.line)
		if got := fmt.Sprintf("%d %v %s", a.Reply.Code, a.Reply.Enhanced, a.Reply.Cause); got != c.want {
			t.Errorf("%s: %.60q: %s, want %s", c.place, c.line, got, c.want)
		}
		if k.Phase() != PhaseCommand || k.Message() != held || a.Do != DoNothing {
			t.Errorf("%s: %.60q changes the transaction", c.place, c.line)
		}
	}
}

// TestWhichRefusalComesFirst checks the precedence of refusals: a command out of order,
// then lack of memory or pressure.
func TestWhichRefusalComesFirst(t *testing.T) {
	for _, c := range []struct {
		place, line string
		ev          Event
		want        string
	}{
		{"ready", "MAIL FROM:<>", Event{Shed: "lag"}, "pressure"},
		{"ready", "MAIL nonsense", Event{Shed: "lag"}, "pressure"},
		{"greeted", "MAIL FROM:<>", Event{Shed: "lag"}, "need_helo"},
		{"rcpt", "MAIL FROM:<>", Event{Shed: "lag"}, "nested_mail"},
		{"rcpt", "DATA", Event{Shed: "lag"}, "pressure"},
		{"mail", "DATA", Event{Shed: "lag"}, "no_recipients"},
		{"mail", "RCPT TO:<b@example.net>", Event{NoMemory: true}, "body_memory"},
		{"ready", "RCPT TO:<b@example.net>", Event{NoMemory: true}, "need_mail"},
		{"rcpt", "GET / HTTP/1.1", Event{}, "http"},
		{"rcpt", "PRI\x00 * HTTP/2.0", Event{}, "http"},
		{"rcpt", "\x16\x03", Event{}, "tls"},
	} {
		k := at(t, testSettings(), c.place)
		var d codec.Decoder
		c.ev.Kind = Commanded
		c.ev.Command, _, _ = d.Next([]byte(c.line + "\r\n"))
		if got := cause(k.event(c.ev).Reply); got != c.want {
			t.Errorf("%s: %s: %q, want %q", c.place, c.line, got, c.want)
		}
	}
}

// TestLenientPaths checks that departures from the grammar of paths are counted, and
// refused on request.
func TestLenientPaths(t *testing.T) {
	for _, c := range []struct {
		place, line string
		want        codec.Leniency
	}{
		{"ready", "MAIL FROM:a@example.org", codec.LenientBrackets},
		{"ready", "MAIL FROM:<a..b@example.org>", codec.LenientDots},
		{"mail", "RCPT TO:b@example.net", codec.LenientBrackets},
		{"ready", "MAIL FROM:.b@example.org", codec.LenientBoth},
		{"mail", "RCPT TO:<b@example.net>", codec.LenientNone},
	} {
		if a := at(t, testSettings(), c.place).line(c.line); a.Reply.Code != 250 || a.Leniency != c.want {
			t.Errorf("%s: %q, %v, want %v", c.line, cause(a.Reply), a.Leniency, c.want)
		}
		strict := testSettings()
		strict.StrictPaths = true
		a := at(t, strict, c.place).line(c.line)
		if refused := a.Reply.Code == 501; refused != (c.want != codec.LenientNone) || a.Leniency != codec.LenientNone {
			t.Errorf("strict: %s: %q, %v", c.line, cause(a.Reply), a.Leniency)
		}
	}
}

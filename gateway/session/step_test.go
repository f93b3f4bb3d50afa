package session

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"sluice/codec"
	"sluice/pipeline"
)

// failer is the part of *testing.T and *rapid.T that talk uses.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// talk is a session under test, with the events it was given and the messages it
// released.
type talk struct {
	*Session
	t        failer
	taken    []*pipeline.Message
	released []*pipeline.Message
}

// Take returns a new message, and counts it.
func (k *talk) Take() *pipeline.Message {
	m := &pipeline.Message{}
	m.Reset()
	k.taken = append(k.taken, m)
	return m
}

func testLimits() Limits {
	return Limits{
		MessageSize: 1 << 20, Recipients: 3, CommandErrors: 5, RecipientErrors: 4,
		JunkCommands: 6, Messages: 10, ReceivedHeaders: 100,
	}
}

func testSettings() *Settings {
	return NewSettings("mx.example.net", testLimits(), AcceptDomains([]string{"example.net"}))
}

func newTalk(t failer, settings *Settings) *talk {
	t.Helper()
	s := New(settings, netip.MustParseAddrPort("192.0.2.7:2525"), 1)
	return &talk{Session: &s, t: t}
}

// event steps the session and checks the invariants of the step.
func (k *talk) event(ev Event) Actions {
	k.t.Helper()
	before := k.Message()
	a := k.Step(ev, k)
	if (a.Do == DoRelease) != (a.Message != nil) {
		k.t.Errorf("%v: Do is %d and the message %p", ev.Kind, a.Do, a.Message)
	}
	if a.Message != nil {
		if a.Message != before || k.Message() != nil {
			k.t.Errorf("%v: released %p, held %p before and %p after", ev.Kind, a.Message, before, k.Message())
		}
		k.released = append(k.released, a.Message)
	}
	return a
}

func (k *talk) kind(kind EventKind) Actions {
	k.t.Helper()
	return k.event(Event{Kind: kind})
}

// line steps the session with a command line, decoded as from the wire.
func (k *talk) line(text string) Actions {
	k.t.Helper()
	return k.event(Event{Kind: Commanded, Command: command(k.t, text)})
}

func command(t failer, text string) codec.Command {
	t.Helper()
	var d codec.Decoder
	cmd, n, ok := d.Next([]byte(text + "\r\n"))
	if !ok || n != len(text)+2 {
		t.Fatalf("%q is no line", text)
	}
	return cmd
}

// body ends the message that is being received, with this text and this failure.
func (k *talk) body(text string, err error, eventLimit int64) Actions {
	k.t.Helper()
	m := k.Message()
	var slabs pipeline.SlabPool
	for text := []byte(text); len(text) > 0; {
		m.Body.Grow(&slabs)
		n := copy(m.Body.Room()[:cap(m.Body.Room())], text)
		m.Body.Wrote(n)
		text = text[n:]
	}
	m.Result.Err = err
	return k.event(Event{Kind: BodyEnded, EventLimit: eventLimit})
}

// places are the points that a session passes, in their order. Each has the event that
// leads to it from the one before.
var places = []string{"start", "greeted", "ready", "mail", "rcpt", "credit", "body", "outcome", "closed"}

// at returns a session at a place.
func at(t testing.TB, settings *Settings, place string) *talk {
	t.Helper()
	k := newTalk(t, settings)
	for _, here := range places[1 : slices.Index(places, place)+1] {
		switch here {
		case "greeted":
			k.kind(Opened)
		case "ready":
			k.line("EHLO client.example.org")
		case "mail":
			k.line("MAIL FROM:<a@example.org>")
		case "rcpt":
			k.line("RCPT TO:<b@example.net>")
		case "credit":
			k.line("DATA")
		case "body":
			k.kind(CreditGranted)
		case "outcome":
			k.body("Subject: x\r\n\r\n", nil, 0)
			k.Message().Stage = pipeline.StageStoring
		case "closed":
			k.Message().Result.Err = nil
			k.kind(Outcome)
			k.line("QUIT")
		}
	}
	k.released = nil
	return k
}

func cause(r *codec.Reply) string {
	if r == nil {
		return ""
	}
	return r.Cause
}

// TestInterruptions brings every event that does not come from the client's commands to a
// session in every place. It checks the reply, the next phase and what happens to the
// message.
func TestInterruptions(t *testing.T) {
	for _, row := range []struct {
		place                                string
		timedOut, drained, ahead, unpausable string // causes of the replies
	}{
		{"greeted", "timeout", "draining", "pipelined_input", "descriptors"},
		{"ready", "timeout", "draining", "pipelined_input", "descriptors"},
		{"mail", "timeout", "", "pipelined_input", "descriptors"},
		{"rcpt", "timeout", "", "pipelined_input", "descriptors"},
		{"credit", "body_memory", "", "pipelined_input", "descriptors"},
		{"body", "timeout", "", "pipelined_input", "descriptors"},
		{"outcome", "overdue", "", "pipelined_input", "descriptors"},
		{"closed", "", "", "", ""},
	} {
		for _, c := range []struct {
			name string
			ev   Event
			want string
		}{
			{"timed out", Event{Kind: TimedOut}, row.timedOut},
			{"drained", Event{Kind: Drained}, row.drained},
			{"input ahead", Event{Kind: InputAhead}, row.ahead},
			{"not paused", Event{Kind: PauseFailed, Err: errors.New("no descriptor")}, row.unpausable},
		} {
			t.Run(row.place+"/"+c.name, func(t *testing.T) {
				k := at(t, testSettings(), row.place)
				phase, held := k.Phase(), k.Message()
				a := k.event(c.ev)
				if cause(a.Reply) != c.want {
					t.Fatalf("replied %q, want %q", cause(a.Reply), c.want)
				}
				switch {
				case a.Reply == nil:
					if a.Do != DoNothing || k.Phase() != phase || k.Message() != held {
						t.Errorf("does %d in %v, from %v", a.Do, k.Phase(), phase)
					}
					return
				case a.Reply.Close:
					phase = PhaseClosed
				default:
					phase = PhaseCommand
				}
				if k.Phase() != phase {
					t.Errorf("goes on with %v, want %v", k.Phase(), phase)
				}
				if a.Message != held {
					t.Errorf("let go of %p, held %p", a.Message, held)
				}
				if c.ev.Err != nil && !errors.Is(a.Err, c.ev.Err) {
					t.Errorf("the log gets %v", a.Err)
				}
			})
		}
	}
}

// TestOverdueNamesItsStage checks that a deadline that passes while a message is stored
// or published is a failure of that stage, and that the session continues.
func TestOverdueNamesItsStage(t *testing.T) {
	for _, stage := range []pipeline.Stage{pipeline.StageParts, pipeline.StageStoring, pipeline.StagePublishing} {
		k := at(t, testSettings(), "outcome")
		k.Message().Stage = stage
		a := k.kind(TimedOut)
		var failure *pipeline.Failure
		if !errors.As(a.Err, &failure) || failure.Kind != pipeline.KindTimeout || failure.Op != stage.String() {
			t.Errorf("%v: the log gets %v", stage, a.Err)
		}
		if got := cause(k.line("MAIL FROM:<>").Reply); got != "sender" {
			t.Errorf("%v: the next MAIL is answered %q", stage, got)
		}
	}
}

// TestDrainWaitsForTheTransaction checks that during a drain an open transaction is
// finished, and nothing after it.
func TestDrainWaitsForTheTransaction(t *testing.T) {
	for _, place := range []string{"mail", "rcpt", "credit", "body", "outcome"} {
		k := at(t, testSettings(), place)
		k.kind(Drained)
		if k.Settled() {
			t.Errorf("%s: settled with a transaction", place)
		}
		for k.Message() != nil {
			switch k.Phase() {
			case PhaseCommand:
				if k.Message().Envelope.Recipients() > 0 {
					k.line("DATA")
				} else {
					k.line("RCPT TO:<b@example.net>")
				}
			case PhaseCredit:
				k.kind(CreditGranted)
			case PhaseBody:
				k.body("\r\n", nil, 0)
			case PhaseOutcome:
				if got := cause(k.kind(Outcome).Reply); got != "accepted" {
					t.Errorf("%s: the message is answered %q", place, got)
				}
			}
		}
		if !k.Settled() {
			t.Errorf("%s: not settled after its transaction", place)
		}
		// Input that was sent after the message is read before the session ends.
		if got := cause(k.line("MAIL FROM:<a@example.org>").Reply); got != "draining" || k.Phase() != PhaseClosed {
			t.Errorf("%s: another MAIL is answered %q", place, got)
		}
	}
}

// TestDrainSettlesOnReset checks that RSET during a drain ends the transaction and
// settles the session.
func TestDrainSettlesOnReset(t *testing.T) {
	for _, line := range []string{"RSET", "HELO again.example.org", "EHLO again.example.org"} {
		k := at(t, testSettings(), "rcpt")
		k.kind(Drained)
		k.line(line)
		if !k.Settled() {
			t.Errorf("%s: not settled", line)
		}
		if got := cause(k.kind(Drained).Reply); got != "draining" || k.Phase() != PhaseClosed {
			t.Errorf("%s: the session ends with %q", line, got)
		}
	}
}

// TestAbandon checks that an abandoned session returns its message and sends nothing
// more.
func TestAbandon(t *testing.T) {
	for _, place := range places {
		k := at(t, testSettings(), place)
		held := k.Message()
		if m := k.Abandon(); m != held {
			t.Errorf("%s: gives back %p, held %p", place, m, held)
		}
		if k.Phase() != PhaseClosed || k.Message() != nil || k.Abandon() != nil {
			t.Errorf("%s: in %v with %p", place, k.Phase(), k.Message())
		}
	}
}

// TestClosedSaysNothing checks that a closed session replies to no event.
func TestClosedSaysNothing(t *testing.T) {
	k := at(t, testSettings(), "closed")
	for kind := Opened; kind <= Drained; kind++ {
		a := k.event(Event{Kind: kind, Command: command(t, "NOOP"), NoMemory: true, Shed: "lag"})
		if a.Reply != nil || a.Do != DoNothing || a.Arg != nil || a.Err != nil {
			t.Errorf("event %d: %+v", kind, a)
		}
	}
	if k.Exhausted() || k.Settled() {
		t.Error("there is something to end")
	}
}

// TestCreditWanted checks the memory requested before the 354, which follows from SIZE
// within the size limit.
func TestCreditWanted(t *testing.T) {
	limit := pipeline.SlabBytes(testLimits().MessageSize)
	for params, want := range map[string]int64{
		"":              guessedCredit,
		" SIZE=0":       guessedCredit, // RFC 1870 §6.1: unknown size
		" SIZE=1":       pipeline.SlabBytes(1),
		" SIZE=300000":  pipeline.SlabBytes(300_000),
		" SIZE=1048576": limit,
	} {
		k := at(t, testSettings(), "ready")
		k.line("MAIL FROM:<a@example.org>" + params)
		k.line("RCPT TO:<b@example.net>")
		if a := k.line("DATA"); a.Do != DoCredit || a.Reply != nil || k.Message().Memory.Wanted != want {
			t.Errorf("MAIL%s: does %d for %d, want %d", params, a.Do, k.Message().Memory.Wanted, want)
		}
	}
	small := testLimits()
	small.MessageSize = 64 << 10
	k := at(t, NewSettings("mx.example.net", small, AcceptAny()), "credit")
	if want := pipeline.SlabBytes(small.MessageSize); k.Message().Memory.Wanted != want {
		t.Errorf("a guess of %d, a message has %d at most", k.Message().Memory.Wanted, want)
	}
}

// TestMessageKnowsItsSession checks that the message has the values of its trace fields
// and its event.
func TestMessageKnowsItsSession(t *testing.T) {
	for _, c := range []struct{ hello, protocol string }{{"HELO client.example.org", "SMTP"}, {"EHLO client.example.org", "ESMTP"}} {
		k := at(t, testSettings(), "greeted")
		k.line(c.hello)
		k.line("MAIL FROM:<A@example.org> BODY=8BITMIME SIZE=42")
		k.line("RCPT TO:<b@example.net>")
		k.line("RCPT TO:<postmaster>")
		m := k.Message()
		want := pipeline.Client{Address: k.Client(), Helo: "client.example.org", Protocol: c.protocol}
		if m.Client != want || m.Gateway != "mx.example.net" {
			t.Errorf("%+v by %s, want %+v", m.Client, m.Gateway, want)
		}
		e := &m.Envelope
		if string(e.ReversePath()) != "A@example.org" || e.Body != codec.Body8BitMIME || e.SizeDeclared != 42 {
			t.Errorf("MAIL is %s %v %d", e.ReversePath(), e.Body, e.SizeDeclared)
		}
		if e.Recipients() != 2 || string(e.Recipient(0)) != "b@example.net" || string(e.Recipient(1)) != "postmaster" {
			t.Errorf("%d recipients", e.Recipients())
		}
	}
}

func TestPhaseNames(t *testing.T) {
	seen := map[string]bool{}
	for p := PhaseCommand; p <= PhaseClosed; p++ {
		if name := p.String(); name == "" || seen[name] {
			t.Errorf("phase %d is called %q", p, name)
		} else {
			seen[name] = true
		}
	}
}

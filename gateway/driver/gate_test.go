package driver

import (
	"net/netip"
	"strings"
	"testing"

	"sluice/gateway/session"
)

// testGate sheds sessions of class 0 whose draw is below a bound.
type testGate struct {
	below uint32
	draws []uint16
	away  string // the cause for which no text is received
	trial bool   // the next message is a trial
	full  bool   // no message may be stored but trials
}

func (g *testGate) ClassOf(client netip.Addr) uint8 {
	if client == netip.MustParseAddr("198.51.100.1") {
		return 1
	}
	return 0
}

func (g *testGate) Authenticated(uint8) uint8 { return 2 }

func (g *testGate) Shed(class uint8, draw uint16) (string, bool) {
	g.draws = append(g.draws, draw)
	return "lag", class == 0 && uint32(draw) < g.below
}

func (g *testGate) Admit() (string, bool) { return g.away, g.trial }

func (g *testGate) MayStore() bool { return !g.full }

func TestPressureShedsAtGreeting(t *testing.T) {
	gate := &testGate{below: 1 << 15}
	o := testOptions()
	o.Gate = gate
	o.Admission.Connections, o.Admission.Refused = 1<<20, 1<<20
	w := newWorld(t, o)
	const sessions = 4000
	shed := 0
	for range sessions {
		s := w.connect()
		if got := s.hear(); strings.HasPrefix(got, "421 mx1.example.net Busy") {
			shed++
		} else if !strings.HasPrefix(got, "220 ") {
			t.Fatalf("got %q", got)
		}
	}
	if shed < sessions*45/100 || shed > sessions*55/100 {
		t.Errorf("%d of %d sessions shed at a fraction of a half", shed, sessions)
	}
	if w.seen.refused["pressure"] != shed || w.seen.opened != sessions-shed {
		t.Errorf("counted %v refused, %d opened", w.seen.refused, w.seen.opened)
	}
	w.shedFor("lag", "greeting", shed)
	gate.below = 1 << 16
	if got := w.connectFrom("198.51.100.1:1").hear(); !strings.HasPrefix(got, "220 ") {
		t.Errorf("another class is shed too: %q", got)
	}
	for _, s := range w.sockets {
		s.gone()
	}
	w.clean()
}

// An open session is shed at MAIL, by the number that it drew at its opening, and
// a transaction that was granted its 354 always finishes.
func TestPressureShedsAtMail(t *testing.T) {
	gate := &testGate{}
	o := testOptions()
	o.Gate = gate
	w := newWorld(t, o)
	busy, idle := w.connect(), w.connect()
	busy.send(ehlo + envelope)
	idle.send(ehlo)
	busy.hear()
	idle.hear()
	gate.below = 1 << 16
	idle.send("NOOP\r\nMAIL FROM:<a@example.com>\r\n")
	if got := idle.hear(); got != "250 2.0.0 Ok\r\n421 4.3.2 mx1.example.net Busy, try again later\r\n" {
		t.Errorf("at MAIL: %q", got)
	}
	busy.send(mailText + envelope)
	if got := busy.hear(); !strings.HasPrefix(got, "250 2.0.0 Ok 0") || !strings.HasSuffix(got, "421 4.3.2 mx1.example.net Busy, try again later\r\n") {
		t.Errorf("in a transaction: %q", got)
	}
	w.shedFor("lag", "MAIL", 2)
	busy.gone()
	idle.gone()
	w.clean()
}

// A session that is past MAIL is told 421 at DATA when no text may be received, and its
// transaction is gone with it.
func TestPressureShedsAtData(t *testing.T) {
	gate := &testGate{}
	o := testOptions()
	o.Gate = gate
	w := newWorld(t, o)
	s := w.connect()
	s.send(ehlo + "MAIL FROM:<a@example.com>\r\n")
	s.hear()
	gate.away = "lag"
	s.send("DATA\r\n")
	if got := s.hear(); !strings.HasPrefix(got, "554 ") {
		t.Errorf("without recipients: %q", got)
	}
	s.send("RCPT TO:<b@example.net>\r\nDATA\r\n")
	if got := s.hear(); got != "250 2.1.5 Recipient ok\r\n421 4.3.2 mx1.example.net Busy, try again later\r\n" {
		t.Errorf("got %q", got)
	}
	if w.seen.shed["lag"] != 1 || len(w.seen.refusals) != 2 || w.seen.refusals[1].Pressure != "lag" {
		t.Errorf("counted %v, logged %+v", w.seen.shed, w.seen.refusals)
	}
	s.gone()
	w.clean()
}

// A message whose text has come when the log cannot be used any more is not stored, unless
// it is a trial.
func TestNothingIsStoredForALogThatIsAway(t *testing.T) {
	gate := &testGate{}
	o := testOptions()
	o.Gate = gate
	w := newWorld(t, o)
	late, trial := w.connect(), w.connect()
	late.send(ehlo + envelope)
	gate.trial = true
	trial.send(ehlo + envelope)
	late.hear()
	trial.hear()
	gate.full, gate.trial = true, false
	late.send(mailText)
	if got := late.hear(); !strings.HasPrefix(got, "451 4.3.0 ") {
		t.Errorf("late: %q", got)
	}
	trial.send(mailText + envelope)
	if got := trial.hear(); !strings.HasPrefix(got, "250 2.0.0 Ok 0") {
		t.Errorf("trial: %q", got)
	}
	trial.send(mailText)
	if got := trial.hear(); !strings.HasPrefix(got, "451 4.3.0 ") {
		t.Errorf("the message after a trial: %q", got)
	}
	late.gone()
	trial.gone()
	w.clean()
}

// shedFor asserts that so many sessions were shed, all at the same verb, and that
// their log lines and their counter name the gate's cause.
func (w *world) shedFor(cause, verb string, sessions int) {
	w.t.Helper()
	if n := w.seen.shed[cause]; n != sessions || len(w.seen.shed) > 1 {
		w.t.Errorf("counted %v shed, want %d for %s", w.seen.shed, sessions, cause)
	}
	for _, r := range w.seen.refusals {
		if r.Cause != "pressure" || r.Pressure != cause || r.Verb != verb {
			w.t.Fatalf("logged %+v", r)
		}
	}
	if n := len(w.seen.refusals); n != sessions {
		w.t.Errorf("%d log lines for %d sessions", n, sessions)
	}
}

// What is refused for a reason of its own while the gate sheds is not the gate's.
func TestPressureIsNotBlamed(t *testing.T) {
	gate := &testGate{}
	o := testOptions()
	o.Gate = gate
	o.Admission.Connections = 1
	w := newWorld(t, o)
	s := w.connect()
	gate.below = 1 << 16
	s.send("MAIL FROM:<a@example.com>\r\n")
	if got := s.hear(); !strings.Contains(got, "\r\n503 5.5.1 ") {
		t.Errorf("before HELO: %q", got)
	}
	if got := w.connect().hear(); !strings.HasPrefix(got, "421 mx1.example.net Too many") {
		t.Errorf("over the limit: %q", got)
	}
	if len(w.seen.refusals) != 2 || len(w.seen.shed) != 0 {
		t.Errorf("logged %+v, counted %v", w.seen.refusals, w.seen.shed)
	}
	for _, r := range w.seen.refusals {
		if r.Pressure != "" {
			t.Errorf("logged %+v", r)
		}
	}
	for _, s := range w.sockets {
		s.gone()
	}
	w.clean()
}

// Pressure that stays below a session's number never sheds it, however often it
// begins a transaction: there is no second draw.
func TestNoSecondDraw(t *testing.T) {
	gate := &testGate{}
	o := testOptions()
	o.Gate = gate
	limits := testLimits()
	limits.JunkCommands = 1 << 14
	o.Settings = session.NewSettings("mx1.example.net", limits, session.AcceptAny())
	w := newWorld(t, o)
	s := w.connect()
	s.send(ehlo)
	s.hear()
	gate.below = uint32(gate.draws[0])
	for range 10000 {
		s.send("MAIL FROM:<a@example.com>\r\nRSET\r\n")
	}
	if got := s.hear(); strings.Contains(got, "421") || strings.Count(got, "250 2.1.0") != 10000 {
		t.Error("shed by a second draw")
	}
	gate.below++
	s.send("MAIL FROM:<a@example.com>\r\n")
	if got := s.hear(); !strings.HasPrefix(got, "421 4.3.2 mx1.example.net Busy") {
		t.Errorf("at its own number: %q", got)
	}
	s.gone()
	w.clean()
}

// TestPressureBehindBalancer sends a PROXY header and a whole mail in one piece: pressure
// concerns the client that is named, its 421 is the last word, and nothing behind that is
// executed.
func TestPressureBehindBalancer(t *testing.T) {
	gate := &testGate{}
	o := proxied()
	o.Gate = gate
	w := newWorld(t, o)
	mail := ehlo + envelope + mailText + "NOOP\r\nQUIT\r\n"
	trusted := strings.Replace(v1Header, "192.0.2.1", "198.51.100.1", 1)
	for _, test := range []struct {
		when, header string
		below        uint32
		away         string
		last         string
		stored       int
	}{
		{"calm", v1Header, 0, "", "221 2.0.0 ", 1},
		{"pressure", v1Header, 1 << 16, "", "421 mx1.example.net Busy", 0},
		{"pressure, by version 2", v2Header, 1 << 16, "", "421 mx1.example.net Busy", 0},
		{"pressure, of another class", trusted, 1 << 16, "", "221 2.0.0 ", 1},
		{"no log", v1Header, 0, "log", "421 4.3.2 mx1.example.net Busy", 0},
	} {
		stored := len(w.store.in)
		gate.below, gate.away = test.below, test.away
		s := w.connectFrom(balancer)
		s.send(test.header + mail)
		lines := strings.Split(strings.TrimSuffix(s.hear(), "\r\n"), "\r\n")
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, test.last) || len(w.store.in)-stored != test.stored {
			t.Errorf("%s: %q, %d stored", test.when, lines, len(w.store.in)-stored)
		}
		s.gone()
	}
	w.clean()
}

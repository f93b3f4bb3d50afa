package maillog

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/gateway/driver"
	"sluice/internal/testkit"
	"sluice/metrics"
	"sluice/pipeline"
)

var (
	_ driver.Observer = (*metrics.Metrics)(nil)
	_ driver.MailLog  = (*Log)(nil)
)

var someRefusal = driver.Refusal{
	Session: 0x5e551, Client: netip.MustParseAddrPort("192.0.2.1:4711"), Helo: "client.example", MailFrom: []byte("a@example.net"),
	To: []byte("b@example.com"), Recipients: 3, LeftOut: 5, Verb: "RCPT", Message: "0190", Code: 550, Enhanced: "5.7.1", Cause: "relay_denied", Err: errors.New("no such domain"),
}

func TestLines(t *testing.T) {
	var s testkit.Buffer
	m := New(Options{}, &s)
	m.Refused(&someRefusal)
	m.Refused(&driver.Refusal{Code: 421, Enhanced: "4.3.2", Cause: "connections", Verb: "greeting"})
	m.Refused(&driver.Refusal{Code: 421, Enhanced: "4.3.2", Cause: "pressure", Pressure: "store_errors", Verb: "MAIL"})
	m.LeftBehind("2026/01/02/03/0190.eml", errors.New("503 Slow Down"))
	m.LeftOut(0x1f, someRefusal.Client, 7)
	m.Lost(&driver.Loss{Session: 0x1f, Client: someRefusal.Client, Helo: "c", MailFrom: []byte("a@b.c"), To: []byte("d@e.f"), Recipients: 2, Message: "0191", Octets: 99, Stage: "receiving", End: "client"})
	m.Refused(&driver.Refusal{Code: 553, Enhanced: "5.7.1", Cause: "sender_not_owned", Verb: "MAIL", User: "ann", Mechanism: "PLAIN", Backend: "ldap"})
	m.LoggedIn(&driver.Login{Session: 0x1f, Client: someRefusal.Client, Helo: "c", User: "ann", Mechanism: "LOGIN", Backend: "static"})
	m.LoggedIn(&driver.Login{Session: 0x1f, Client: someRefusal.Client, User: "a b", Mechanism: "LOGIN", Backend: "static", Gone: true})
	m.PackSplit(40, errors.New("413 Entity Too Large"))
	m.Panicked(0x1f, "traffic", "index out of range", []byte("goroutine 1\nmain.go:1"))
	m.Panicked(0, "tick", "index out of range", nil)
	m.Close()
	want := []string{
		`level=INFO msg=refused cause=relay_denied code=550 enhanced=5.7.1 session=0005e551 client=192.0.2.1:4711 helo=client.example verb=RCPT from=a@example.net to=b@example.com recipients=3 id=0190 err="no such domain" left_out=5`,
		`level=INFO msg=refused cause=connections code=421 enhanced=4.3.2 session=00000000 client="" helo="" verb=greeting from=""`,
		`level=INFO msg=refused cause=pressure code=421 enhanced=4.3.2 session=00000000 client="" helo="" verb=MAIL from="" pressure=store_errors`,
		`level=WARN msg="failed message left an object or upload in the bucket" key=2026/01/02/03/0190.eml err="503 Slow Down"`,
		`level=INFO msg="log lines of a session left out" lines=7 session=0000001f client=192.0.2.1:4711`,
		`level=INFO msg="message lost: its session ended before the answer" cause=client stage=receiving session=0000001f client=192.0.2.1:4711 helo=c from=a@b.c to=d@e.f recipients=2 id=0191 octets=99`,
		`level=INFO msg=refused cause=sender_not_owned code=553 enhanced=5.7.1 session=00000000 client="" helo="" verb=MAIL from="" user=ann mechanism=PLAIN backend=ldap`,
		`level=INFO msg=authenticated session=0000001f client=192.0.2.1:4711 helo=c user=ann mechanism=LOGIN backend=static`,
		`level=INFO msg=authenticated session=0000001f client=192.0.2.1:4711 helo="" user="a b" mechanism=LOGIN backend=static cause=client_gone`,
		`level=WARN msg="the store refused a pack: its messages go one by one" messages=40 err="413 Entity Too Large"`,
		`level=ERROR msg=panicked where=traffic session=0000001f reason="index out of range" stack="goroutine 1\nmain.go:1"`,
		`level=ERROR msg=panicked where=tick reason="index out of range" stack=""`,
	}
	got := s.Lines()
	if len(got) != len(want) {
		t.Fatalf("%d lines: %q", len(got), got)
	}
	for i := range want {
		if _, rest, _ := strings.Cut(got[i], " "); rest != want[i] {
			t.Errorf("got  %s\nwant %s", rest, want[i])
		}
	}
}

// TestPanicsAreBounded checks that of the panics of a place one is logged, and the others
// are counted.
func TestPanicsAreBounded(t *testing.T) {
	var s testkit.Buffer
	m := New(Options{}, &s)
	for range 100 {
		m.Panicked(0, "store", "broken", nil)
		m.Panicked(0, "accept", "broken", nil)
	}
	m.Close()
	if got := len(s.Lines()); got != 2 || m.Omitted() != 198 {
		t.Errorf("%d lines, %d left out:\n%s", got, m.Omitted(), s.String())
	}
}

// panickingWriter panics at its first write.
type panickingWriter struct {
	testkit.Buffer
	panicked atomic.Bool
}

func (w *panickingWriter) Write(p []byte) (int, error) {
	if !w.panicked.Swap(true) {
		panic("broken")
	}
	return w.Buffer.Write(p)
}

// TestWriterPanics checks that a panic while lines are written loses these lines alone,
// and that they are counted.
func TestWriterPanics(t *testing.T) {
	var s panickingWriter
	m := New(Options{}, &s)
	m.Logger().Info("first")
	testkit.Eventually(t, "the panic", func() bool { return m.Dropped() == 1 })
	m.Logger().Info("second")
	m.Close()
	if got := s.String(); !strings.Contains(got, "second") || strings.Contains(got, "first") {
		t.Errorf("%s", got)
	}
}

func TestLevels(t *testing.T) {
	for level, want := range map[slog.Level]int{slog.LevelInfo: 5, slog.LevelWarn: 4, slog.LevelError: 2} {
		var s testkit.Buffer
		m := New(Options{Level: level, Messages: 1, JSON: true}, &s)
		m.Accepted(&driver.Acceptance{Message: &pipeline.Message{}}) // whatever the level is
		m.Refused(&someRefusal)
		m.LeftBehind("k", errors.New("x"))
		m.Panicked(0, "traffic", errors.New("x"), nil)
		m.Logger().Warn("w")
		m.Close()
		if got := s.Lines(); len(got) != want {
			t.Errorf("%s: %q", level, got)
		}
	}
}

// TestClientsCannotForgeLines checks that a client can neither write a line of its own
// nor change a terminal that shows one.
func TestClientsCannotForgeLines(t *testing.T) {
	for _, hostile := range []string{
		"x\nlevel=ERROR msg=forged", "x\r\nmsg=forged", `x" msg=forged "`, "x msg=forged", "x\x00\x1b[2Jy",
		"x\u2028msg=forged", "x\x85\xff\xfe", `{"msg":"forged"}`, "\\", `\"`, "=",
	} {
		for _, asJSON := range []bool{false, true} {
			var s testkit.Buffer
			m := New(Options{JSON: asJSON}, &s)
			r := someRefusal
			r.Helo, r.MailFrom, r.To, r.Err = hostile, []byte(hostile), []byte(hostile), errors.New(hostile)
			m.Refused(&r)
			m.Close()
			got := s.Lines()
			if len(got) != 1 {
				t.Fatalf("%q made %d lines: %q", hostile, len(got), got)
			}
			if strings.ContainsAny(got[0], "\r\x00\x1b\u2028") {
				t.Errorf("%q is in %q", hostile, got[0])
			}
			if !asJSON {
				if n := len(keyValues(got[0])); n != 16 { // time, level, msg and thirteen of ours
					t.Errorf("%q made %d keys: %s", hostile, n, got[0])
				}
				continue
			}
			var line map[string]any
			if err := json.Unmarshal([]byte(got[0]), &line); err != nil || line["msg"] != "refused" || len(line) != 16 {
				t.Errorf("%q: %v %v", hostile, err, line)
			}
		}
	}
}

// keyValues splits a text line as a logfmt parser does.
func keyValues(line string) []string {
	var all []string
	for start, i, quoted := 0, 0, false; i <= len(line); i++ {
		switch {
		case i == len(line) || line[i] == ' ' && !quoted:
			all = append(all, line[start:i])
			start = i + 1
		case line[i] == '\\' && quoted:
			i++
		case line[i] == '"':
			quoted = !quoted
		}
	}
	return all
}

// stuck is a writer that blocks until it is freed.
type stuck struct {
	testkit.Buffer
	free    chan struct{}
	entered chan struct{}
	once    sync.Once
}

func (s *stuck) Write(b []byte) (int, error) {
	s.once.Do(func() { close(s.entered) })
	<-s.free
	return s.Buffer.Write(b)
}

// neighbours returns a function that returns, one by one, other clients with the same
// shard as client.
func neighbours(m *Log, client netip.Addr) func() netip.Addr {
	next := netip.MustParseAddr("198.18.0.0")
	return func() netip.Addr {
		for next = next.Next(); m.shard(next) != m.shard(client); next = next.Next() {
		}
		return next
	}
}

func TestLoopsNeverWaitForTheLog(t *testing.T) {
	s := &stuck{free: make(chan struct{}), entered: make(chan struct{})}
	m := New(Options{}, s)
	m.Refused(&someRefusal)
	<-s.entered // the goroutine hangs in the write; nothing empties the queues now
	const more = 100
	others := neighbours(m, someRefusal.Client.Addr())
	for range shardLines + refusalLines + more {
		refusal := someRefusal
		refusal.Client = netip.AddrPortFrom(others(), 1)
		m.Refused(&refusal)
	}
	if got := m.Dropped(); got != more {
		t.Errorf("%d dropped, want %d", got, more)
	}
	close(s.free)
	m.Close()
	<-m.stopped // Close does not wait for longer than Patience
	lines := s.Lines()
	if len(lines) != 1+shardLines+refusalLines+1 {
		t.Errorf("%d lines", len(lines))
	}
	if !slices.ContainsFunc(lines, func(line string) bool {
		return strings.Contains(line, `level=WARN msg="log lines dropped" lines=100 since_start=100`)
	}) {
		t.Error("nothing says that lines were dropped")
	}
}

// TestNobodyPushesOutOthersLines checks that while one client, or one kind of line, has
// more lines than fit, the lines of others are all written.
func TestNobodyPushesOutOthersLines(t *testing.T) {
	s := &stuck{free: make(chan struct{}), entered: make(chan struct{})}
	m := New(Options{Messages: 1}, s)
	m.Refused(&someRefusal)
	<-s.entered
	greedy := someRefusal
	for port := range 10000 {
		greedy.Client = netip.AddrPortFrom(someRefusal.Client.Addr(), uint16(port))
		m.Refused(&greedy)
		m.Accepted(&driver.Acceptance{Message: &pipeline.Message{}})
	}
	other := someRefusal
	for n := 0; n < 20; n++ { // some other client that has another shard, as 63 of 64 have
		other.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}), 1)
		if m.shard(other.Client.Addr()) != m.shard(greedy.Client.Addr()) {
			break
		}
	}
	other.Cause = "somebody_else"
	m.Refused(&other)
	m.Panicked(0, "traffic", "a panic", nil)
	m.Logger().Warn("a warning")
	close(s.free)
	m.Close()
	<-m.stopped // Close does not wait for longer than Patience
	all := strings.Join(s.Lines(), "\n")
	for _, want := range []string{"cause=somebody_else", `reason="a panic"`, `msg="a warning"`, `msg="log lines dropped"`} {
		if !strings.Contains(all, want) {
			t.Errorf("%s was pushed out", want)
		}
	}
}

// TestNoClientPushesOutAnother checks that a client has room for its lines even if
// another client of its shard floods the log from many sessions and nothing reads the
// log.
func TestNoClientPushesOutAnother(t *testing.T) {
	s := &stuck{free: make(chan struct{}), entered: make(chan struct{})}
	m := New(Options{}, s)
	m.Refused(&someRefusal)
	<-s.entered
	greedy, other := someRefusal, someRefusal
	greedy.LeftOut, other.LeftOut = 0, 0
	const flood = 10000
	for port := range flood {
		greedy.Client = netip.AddrPortFrom(someRefusal.Client.Addr(), uint16(port))
		m.Refused(&greedy)
		m.Lost(&driver.Loss{Session: 0x1f, Client: greedy.Client})
	}
	other.Client, other.Cause = netip.AddrPortFrom(neighbours(m, greedy.Client.Addr())(), 1), "somebody_else"
	m.Refused(&other)
	if left := m.Omitted(); left != 2*flood+5+1-clientLines {
		t.Errorf("%d lines were left out, want %d", left, 2*flood+5+1-clientLines)
	}
	close(s.free)
	m.Close()
	<-m.stopped // Close does not wait for longer than Patience
	all := strings.Join(s.Lines(), "\n")
	for want, times := range map[string]int{
		"cause=somebody_else": 1, "client=192.0.2.1:": clientLines, `are left out for a second" client=192.0.2.1 lines=200`: 1,
	} {
		if got := strings.Count(all, want); got != times {
			t.Errorf("%s is there %d times, want %d", want, got, times)
		}
	}
}

// TestRefusalsHideNoLogin checks that a client cannot hide a login behind its refusals, nor
// flood the log with logins.
func TestRefusalsHideNoLogin(t *testing.T) {
	var s testkit.Buffer
	m := New(Options{}, &s)
	for range 10 * clientLines {
		m.Refused(&someRefusal)
	}
	for range clientLines + 1 { // a second may pass meanwhile
		m.LoggedIn(&driver.Login{Client: someRefusal.Client, User: "ann"})
	}
	before := m.Omitted()
	for range 10 * clientLines {
		m.LoggedIn(&driver.Login{Client: someRefusal.Client, User: "bob"})
	}
	left := m.Omitted() - before
	m.Close()
	text := s.String()
	if !strings.Contains(text, "user=ann") {
		t.Error("refusals hide a login")
	}
	if lines := int64(strings.Count(text, "user=bob")); left == 0 || lines+left+m.Dropped() != 10*clientLines {
		t.Errorf("%d lines, %d left out, %d dropped", lines, left, m.Dropped())
	}
}

// TestClientsGetANewShare checks that a client may log again in the next second.
func TestClientsGetANewShare(t *testing.T) {
	var s testkit.Buffer
	m := New(Options{}, &s)
	defer m.Close()
	for range 2 * clientLines {
		m.Refused(&someRefusal)
	}
	after := someRefusal
	after.Cause = "afterwards"
	testkit.Eventually(t, "a line in a later second", func() bool {
		m.Refused(&after)
		return strings.Contains(strings.Join(s.Lines(), "\n"), "cause=afterwards")
	})
}

// TestClosingWithAReaderThatHangs checks that the end of the process does not wait for a
// hanging reader.
func TestClosingWithAReaderThatHangs(t *testing.T) {
	s := &stuck{free: make(chan struct{}), entered: make(chan struct{})}
	defer close(s.free)
	m := New(Options{}, s)
	m.Logger().Warn("w")
	<-s.entered
	m.Logger().Warn("this must not wait either")
	began := time.Now()
	m.Close()
	if took := time.Since(began); took > 5*Patience {
		t.Errorf("it took %s", took)
	}
}

// TestLinesThatCannotBeWritten checks that unwritten lines are counted.
func TestLinesThatCannotBeWritten(t *testing.T) {
	m := New(Options{}, brokenWriter{})
	for range 10 {
		m.Refused(&someRefusal)
	}
	m.Logger().Warn("w")
	m.Close()
	if got := m.Dropped(); got != 11 {
		t.Errorf("%d of 11 were counted", got)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// TestKeepsNothingOfTheLoops checks that the log does not retain what a Refusal points
// to, which belongs to the loop again when the call returns.
func TestKeepsNothingOfTheLoops(t *testing.T) {
	s := &stuck{free: make(chan struct{}), entered: make(chan struct{})}
	m := New(Options{}, s)
	m.Refused(&someRefusal)
	<-s.entered
	r := someRefusal
	r.MailFrom = []byte("before@example.net")
	m.Refused(&r)
	copy(r.MailFrom, "after!")
	r.Cause = "other"
	close(s.free)
	m.Close()
	<-m.stopped // Close does not wait for longer than Patience
	if got := s.Lines()[1]; !strings.Contains(got, "from=before@example.net") || !strings.Contains(got, "cause=relay_denied") {
		t.Error(got)
	}
}

func TestManyLoopsWriteWholeLines(t *testing.T) {
	var s testkit.Buffer
	m := New(Options{JSON: true}, &s)
	const loops, each = 4, clientLines / 4
	var all sync.WaitGroup
	for range loops {
		all.Go(func() {
			for range each {
				m.Refused(&someRefusal)
				m.Logger().Info("direct")
			}
		})
	}
	all.Wait()
	m.Close()
	lines := s.Lines()
	if len(lines) != 2*loops*each {
		t.Errorf("%d lines, %d dropped", len(lines), m.Dropped())
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Fatalf("broken line %q", line)
		}
	}
}

func TestClosingTwice(t *testing.T) {
	m := New(Options{}, &testkit.Buffer{})
	m.Close()
	m.Close()
	m.Refused(&someRefusal) // a line after Close does no harm
}

func BenchmarkRefused(b *testing.B) {
	m := New(Options{}, &discardWriter{})
	defer m.Close()
	b.ReportAllocs()
	for b.Loop() {
		m.Refused(&someRefusal)
	}
}

type discardWriter struct{}

func (discardWriter) Write(b []byte) (int, error) { return len(b), nil }

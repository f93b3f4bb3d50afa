package driver

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sluice/gateway/session"
	"sluice/pipeline"
)

// world is a reactor, a clock, a store and a log in memory around one loop.
type world struct {
	t        testing.TB
	listener Listener
	now      time.Time
	shared   *Shared
	loop     *Loop
	store    scriptedStore
	log      scriptedLog
	seen     counts
	sockets  []*memorySocket
	back     []*memorySocket // resumed, and not told of yet
	wakes    int
}

// step is what a scripted port does with what it is given.
type step struct {
	hold bool
	err  error
}

type scriptedStore struct {
	step
	held []*pipeline.Message
	puts [][]byte // header and body of each Put, at the time of the Put
	in   []string // the body alone
}

func (s *scriptedStore) Put(m *pipeline.Message) {
	var body []byte
	for _, chunk := range m.Body.Chunks() {
		body = append(body, chunk...)
	}
	s.in = append(s.in, string(body))
	s.puts = append(s.puts, append(append([]byte{}, m.Header...), body...))
	if s.hold {
		s.held = append(s.held, m)
		return
	}
	m.Stored(pipeline.Blob{Store: "test", Length: m.Length(), Added: int64(len(m.Header))}, pipeline.Digest{}, s.err)
}

func (s *scriptedStore) release() {
	for _, m := range s.held {
		m.Stored(pipeline.Blob{}, pipeline.Digest{}, s.err)
	}
	s.held = nil
}

type scriptedLog struct {
	step
	held   []*pipeline.Message
	events []string
}

func (l *scriptedLog) Publish(m *pipeline.Message) {
	if l.err == nil {
		l.events = append(l.events, m.ID.String())
	}
	if l.hold {
		l.held = append(l.held, m)
		return
	}
	m.Published(pipeline.Position{}, l.err)
}

func (l *scriptedLog) release() {
	for _, m := range l.held {
		m.Published(pipeline.Position{}, l.err)
	}
	l.held = nil
}

// counts is an Observer and a MailLog that remember.
type counts struct {
	opened, panics int
	paused         int
	pauses         map[string]int
	refused, shed  map[string]int
	closed         map[string]int
	replies        map[string]int
	messages       map[string]int
	late, orphans  map[string]int
	credit         map[string]int
	relieved       map[string]int
	tls            map[string]int // versions and causes of failure
	auth           map[string]int // backends and reasons
	lenient        map[string]int
	refusals       []Refusal
	losses         []string // to, bytes, stage and end of each
	logins         []Login
	accepted       []Acceptance                        // without their messages
	took           [][pipeline.StageDone]time.Duration // by each of them
	sessions       []session.ID                        // of each line
	leftOut        int
}

func newCounts() counts {
	return counts{
		refused: map[string]int{}, shed: map[string]int{}, closed: map[string]int{}, replies: map[string]int{},
		messages: map[string]int{}, late: map[string]int{}, credit: map[string]int{}, pauses: map[string]int{},
		lenient: map[string]int{}, orphans: map[string]int{}, relieved: map[string]int{},
		tls: map[string]int{}, auth: map[string]int{},
	}
}

func (c *counts) SessionOpened()                                { c.opened++ }
func (c *counts) SessionRefused(cause string)                   { c.refused[cause]++ }
func (c *counts) SessionShed(cause string)                      { c.shed[cause]++ }
func (c *counts) SessionClosed(_ float64, end string)           { c.closed[end]++ }
func (c *counts) Reply(_ int, cause string)                     { c.replies[cause]++ }
func (c *counts) LenientPath(kind string)                       { c.lenient[kind]++ }
func (c *counts) ProxyRefused(cause string)                     { c.refused["proxy "+cause]++ }
func (c *counts) TLSDone(version string, _ bool)                { c.tls[version]++ }
func (c *counts) TLSFailed(cause string)                        { c.tls[cause]++ }
func (c *counts) Authenticated(backend, reason string)          { c.auth[backend+" "+reason]++ }
func (c *counts) MessageDone(result string, _ int64, _ float64) { c.messages[result]++ }
func (c *counts) StageDone(string, string, float64)             {}
func (c *counts) LateResult(stage, result string)               { c.late[stage+" "+result]++ }
func (c *counts) Orphaned(fate string)                          { c.orphans[fate]++ }
func (c *counts) CreditWaited(result string, _ float64)         { c.credit[result]++ }
func (c *counts) MemoryRelieved(sending string)                 { c.relieved[sending]++ }
func (c *counts) LoopDelay(float64)                             {}
func (c *counts) SessionPaused(waitsFor string)                 { c.pauses[waitsFor]++; c.paused++ }
func (c *counts) SessionResumed()                               { c.paused-- }
func (c *counts) Panicked(string)                               { c.panics++ }

type mailLog struct{ c *counts }

func (j mailLog) Refused(r *Refusal) {
	j.c.refusals, j.c.sessions = append(j.c.refusals, *r), append(j.c.sessions, r.Session)
}

func (j mailLog) Accepted(a *Acceptance) {
	j.c.took, j.c.sessions = append(j.c.took, a.Message.Took), append(j.c.sessions, a.Session)
	kept := *a
	kept.Message = nil // its loop uses it again
	j.c.accepted = append(j.c.accepted, kept)
}

func (j mailLog) LoggedIn(l *Login) {
	j.c.logins, j.c.sessions = append(j.c.logins, *l), append(j.c.sessions, l.Session)
}

func (j mailLog) LeftOut(id session.ID, _ netip.AddrPort, n int) {
	j.c.leftOut += n
	j.c.sessions = append(j.c.sessions, id)
}

func (j mailLog) Lost(l *Loss) {
	j.c.sessions = append(j.c.sessions, l.Session)
	line := fmt.Sprintf("%s %d %s %s", l.To, l.Octets, l.Stage, l.End)
	if l.User != "" {
		line = l.User + " " + line
	}
	j.c.losses = append(j.c.losses, line)
}

func (j mailLog) Panicked(id session.ID, _ string, _ any, _ []byte) {
	j.c.sessions = append(j.c.sessions, id)
}

type worldClock struct{ w *world }

func (c worldClock) Now() time.Time { return c.w.now }

// Wake implements Waker: the test runs the loop itself, by settle.
func (w *world) Wake() { w.wakes++ }

type worldRandom uint64

func (r *worldRandom) Uint64() uint64 { *r++; return uint64(*r) * 0x9e3779b97f4a7c15 }

func testLimits() session.Limits {
	return session.Limits{
		MessageSize: 1 << 20, Recipients: 100, CommandErrors: 20, RecipientErrors: 20, JunkCommands: 100,
		Messages: 1000, ReceivedHeaders: 100,
	}
}

func testTimeouts() Timeouts {
	return Timeouts{
		Greeting: 5 * time.Minute, Command: 5 * time.Minute, DataStart: 2 * time.Minute,
		DataBlock: 3 * time.Minute, Credit: 90 * time.Second, Store: time.Minute,
		Message: 5 * time.Minute, Stall: time.Minute, Auth: 20 * time.Second,
	}
}

// options are those of a world and of its one listener.
type options struct {
	Options
	Listener
}

func testOptions() options {
	return options{
		Options: Options{
			Admission:  AdmissionLimits{Connections: 100, Refused: 50},
			Generation: Generation{Timeouts: testTimeouts()},
			Budget:     pipeline.NewBudget(64 << 20),
			Parts:      pipeline.NewBudget(16 << 20),
			SlabsKept:  1 << 20,
		},
		Listener: Listener{
			Settings: session.NewSettings("mx1.example.net", testLimits(), session.AcceptDomains([]string{"example.net"})),
		},
	}
}

func newWorld(t testing.TB, o options) *world {
	w := &world{t: t, listener: o.Listener, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), seen: newCounts()}
	o.Clock = worldClock{w}
	o.Observer, o.MailLog = &w.seen, mailLog{&w.seen}
	o.Committer = &pipeline.Committer{Store: &w.store, Log: &w.log, Observer: &w.seen}
	o.MessageSize = o.Settings.Limits.MessageSize
	w.shared = NewShared(o.Options)
	w.loop = w.shared.NewLoop(w, new(worldRandom))
	return w
}

// settle runs the loop as long as somebody wakes it or connections come back.
func (w *world) settle() {
	for w.wakes > 0 || len(w.back) > 0 {
		back := w.back
		w.back = nil
		for _, s := range back {
			if !s.closed && !s.paused {
				w.loop.Traffic(&s.conn)
				kernel := s.kernel
				s.kernel = nil
				s.send(string(kernel))
			}
		}
		w.wakes = 0
		w.loop.Run()
	}
}

// advance lets time pass in ticks.
func (w *world) advance(d time.Duration) {
	for range ticksOf(d) {
		w.now = w.now.Add(tickLength)
		w.loop.Tick(w.now)
		w.settle()
	}
}

// memorySocket is a connection whose two ends are byte slices.
type memorySocket struct {
	w      *world
	conn   Conn
	in     []byte
	out    []byte
	room   int // bytes that Write takes, -1 for all
	err    error
	half   bool
	closed bool
	ended  bool // the client sends nothing more

	dropped bool // DropUnsent was called

	paused  bool
	kernel  []byte // what has come while it was paused
	noPause error  // what Pause answers
	broken  bool   // reset while it was paused
}

func (s *memorySocket) Pause() error {
	if s.paused || s.closed || s.ended {
		panic("paused twice, or behind the end")
	}
	if s.noPause != nil {
		return s.noPause
	}
	s.paused = true
	return nil
}

// Resume implements Socket. The connection is back when the test settles.
func (s *memorySocket) Resume() error {
	if !s.paused || s.closed || s.ended {
		panic("resumed twice, or behind the end")
	}
	s.paused = false
	if s.broken {
		return errScripted
	}
	s.w.back = append(s.w.back, s)
	return nil
}

func (s *memorySocket) Input() []byte { return s.in }

func (s *memorySocket) Discard(n int) {
	if n <= 0 || n > len(s.in) {
		panic(fmt.Sprintf("Discard(%d) of %d", n, len(s.in)))
	}
	s.in = s.in[n:]
}

func (s *memorySocket) Write(p []byte) (int, error) {
	if s.closed || s.half {
		panic("write after the end")
	}
	if s.err != nil {
		return 0, s.err
	}
	n := len(p)
	if s.room >= 0 {
		n = min(n, s.room)
		s.room -= n
	}
	s.out = append(s.out, p[:n]...)
	return n, nil
}

func (s *memorySocket) CloseWrite() { s.half = true }

func (s *memorySocket) DropUnsent() { s.dropped = true }

func (s *memorySocket) Close() {
	if s.closed {
		panic("closed twice")
	}
	s.closed = true
}

func (w *world) connect() *memorySocket { return w.connectFrom("192.0.2.1:4711") }

func (w *world) connectFrom(address string) *memorySocket {
	s := &memorySocket{w: w, room: -1}
	w.sockets = append(w.sockets, s)
	w.loop.Open(&s.conn, s, netip.MustParseAddrPort(address), &w.listener)
	w.settle()
	return s
}

// readSize is what the reactor reads at a time.
const readSize = 32 << 10

// send feeds bytes to the session, in as few reads as the reactor would need.
func (s *memorySocket) send(octets string) {
	for octets != "" && !s.closed {
		if s.paused {
			s.kernel = append(s.kernel, octets...)
			return
		}
		n := min(len(octets), readSize)
		s.in = append(s.in[:len(s.in):len(s.in)], octets[:n]...)
		octets = octets[n:]
		s.w.loop.Traffic(&s.conn)
		s.w.settle()
	}
}

// unsentBytes returns what the kernel did not take yet.
func (c *Conn) unsentBytes() []byte {
	if c.unsent == nil {
		return nil
	}
	return c.unsent.bytes
}

// hear returns what was sent to the client since the last time.
func (s *memorySocket) hear() string {
	out := string(s.out)
	s.out = nil
	return out
}

// gone is the client closing or resetting the connection, which is not noticed
// while it is paused.
func (s *memorySocket) gone() {
	s.broken = true
	if !s.closed && !s.paused {
		s.w.loop.Closed(&s.conn, EndReset)
		s.w.settle()
	}
}

var errScripted = errors.New("scripted")

// clean asserts that nothing is left of what went on.
func (w *world) clean() {
	w.t.Helper()
	if n := w.shared.SessionsOpen(); n != 0 {
		w.t.Errorf("%d sessions counted open", n)
	}
	if n := w.loop.Sessions(); n != 0 {
		w.t.Errorf("%d connections in the wheel", n)
	}
	if n := w.shared.Budget.Used(); n != 0 {
		w.t.Errorf("%d octets of credit are out", n)
	}
	if n := w.shared.Budget.Waiters(); n != 0 {
		w.t.Errorf("%d messages wait for credit", n)
	}
	if used, waiters := w.shared.Parts.Used(), w.shared.Parts.Waiters(); used != 0 || waiters != 0 {
		w.t.Errorf("%d octets of part credit are out, %d messages wait for some", used, waiters)
	}
	if w.seen.paused != 0 {
		w.t.Errorf("%d sessions are paused", w.seen.paused)
	}
	if len(w.loop.handshakes) != 0 {
		w.t.Errorf("%d handshakes are not home", len(w.loop.handshakes))
	}
	if w.seen.panics != 0 {
		w.t.Errorf("%d panics", w.seen.panics)
	}
}

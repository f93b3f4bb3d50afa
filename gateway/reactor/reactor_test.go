package reactor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"sluice/codec/smtptest"
	"sluice/gateway/driver"
	"sluice/gateway/session"
	"sluice/internal/testkit"
	"sluice/pipeline"
	"sluice/pipeline/discard"
)

// server is a reactor on a free port of the loopback interface with a store that
// discards.
type server struct {
	sessions *driver.Listener
	shared   *driver.Shared
	reactor  *Reactor
	store    *heldStore
	address  string
	ended    chan error
	seen     pauses
	troubles
}

// troubles records the reports of failed accepts.
type troubles struct {
	mu      sync.Mutex
	causes  map[string]int
	reports []Trouble
}

func (t *troubles) failed(cause string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.causes == nil {
		t.causes = map[string]int{}
	}
	t.causes[cause]++
}

func (t *troubles) reported(trouble Trouble) {
	fmt.Fprintln(os.Stderr, "trouble:", trouble) // a test reads its child's output
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reports = append(t.reports, trouble)
}

// all returns the number of failed attempts to accept.
func (t *troubles) all() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, failed := range t.causes {
		n += failed
	}
	return n
}

// pauses counts the pauses of sessions.
type pauses struct {
	nothing
	all, now atomic.Int64
}

func (p *pauses) SessionPaused(string) {
	p.all.Add(1)
	p.now.Add(1)
}

func (p *pauses) SessionResumed() { p.now.Add(-1) }

type nothing struct{}

func (nothing) SessionOpened()                          {}
func (nothing) SessionRefused(string)                   {}
func (nothing) SessionShed(string)                      {}
func (nothing) LenientPath(string)                      {}
func (nothing) ProxyRefused(string)                     {}
func (nothing) TLSDone(string, bool)                    {}
func (nothing) TLSFailed(string)                        {}
func (nothing) Authenticated(string, string)            {}
func (nothing) SessionClosed(float64, string)           {}
func (nothing) Reply(int, string)                       {}
func (nothing) MessageDone(string, int64, float64)      {}
func (nothing) StageDone(string, string, float64)       {}
func (nothing) LateResult(string, string)               {}
func (nothing) Orphaned(string)                         {}
func (nothing) CreditWaited(string, float64)            {}
func (nothing) SessionPaused(string)                    {}
func (nothing) SessionResumed()                         {}
func (nothing) MemoryRelieved(string)                   {}
func (nothing) LoopDelay(float64)                       {}
func (nothing) Panicked(string)                         {}
func (nothing) Refused(*driver.Refusal)                 {}
func (nothing) LeftOut(session.ID, netip.AddrPort, int) {}
func (nothing) Lost(*driver.Loss)                       {}
func (nothing) LoggedIn(*driver.Login)                  {}
func (nothing) Accepted(*driver.Acceptance)             {}

type reporting struct{ nothing }

func (reporting) Panicked(_ session.ID, where string, reason any, stack []byte) {
	panic(fmt.Sprintf("%s: %v\n%s", where, reason, stack))
}

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

// heldStore stores at once, or holds messages until they are released.
type heldStore struct {
	mu   sync.Mutex
	hold bool
	held []*pipeline.Message
	last netip.Addr // the client of the newest message
}

func (s *heldStore) lastClient() netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *heldStore) Put(m *pipeline.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = m.Client.Address.Addr()
	if s.hold {
		s.held = append(s.held, m)
		return
	}
	discard.Store{}.Put(m)
}

func (s *heldStore) holdAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = true
}

func (s *heldStore) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
}

func (s *heldStore) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.held {
		discard.Store{}.Put(m)
	}
	s.held, s.hold = nil, false
}

func testLimits() session.Limits {
	return session.Limits{
		MessageSize: 50 << 20, Recipients: 1000, CommandErrors: 20, RecipientErrors: 20, JunkCommands: 100,
		Messages: 1000, ReceivedHeaders: 100,
	}
}

func newServer(limits session.Limits, accept *session.AcceptList) *server {
	s := &server{store: &heldStore{}, ended: make(chan error, 1)}
	s.serve(driverOptions(s, limits), limits, accept)
	return s
}

func driverOptions(s *server, limits session.Limits) driver.Options {
	minute := time.Minute
	return driver.Options{
		MessageSize: limits.MessageSize,
		Admission:   driver.AdmissionLimits{Connections: 15000},
		Generation: driver.Generation{Timeouts: driver.Timeouts{
			Greeting: minute, Command: minute, DataStart: minute, DataBlock: minute,
			Credit: minute, Store: minute, Message: minute, Stall: minute,
		}},
		Budget:    pipeline.NewBudget(256 << 20),
		Committer: &pipeline.Committer{Store: s.store, Log: discard.Log{}, Observer: nothing{}},
		Clock:     realClock{},
		Observer:  &s.seen,
		MailLog:   reporting{},
		SlabsKept: 1 << 20,
	}
}

func (s *server) serve(o driver.Options, limits session.Limits, accept *session.AcceptList) {
	s.shared = driver.NewShared(o)
	s.reactor = New(s.shared, Options{
		Loops:      2,
		SendBuffer: 64 << 10, ReceiveBuffer: 256 << 10,
		NewRandom:     func() driver.Random { return rand.New(rand.NewPCG(rand.Uint64(), 1)) },
		AcceptFailed:  s.troubles.failed,
		AcceptTrouble: s.troubles.reported,
	})
	s.sessions = &driver.Listener{Settings: session.NewSettings("mx1.example.net", limits, accept)}
	s.listenOn("127.0.0.1:0")
}

// listenOn replaces the addresses to listen on.
func (s *server) listenOn(addresses ...string) {
	s.reactor.options.Endpoints = nil
	for _, address := range addresses {
		s.reactor.options.Endpoints = append(s.reactor.options.Endpoints, Endpoint{address, s.sessions})
	}
}

func (s *server) start() error {
	go func() { s.ended <- s.reactor.Run() }()
	select {
	case err := <-s.ended:
		return err
	case <-s.reactor.Booted():
		s.address = s.reactor.Addresses()[0]
		return nil
	}
}

func start(t *testing.T) *server {
	return startWith(t, testLimits(), session.AcceptAny())
}

func startWith(t *testing.T, limits session.Limits, accept *session.AcceptList) *server {
	t.Helper()
	s := newServer(limits, accept)
	s.run(t)
	return s
}

// run serves until the end of the test.
func (s *server) run(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.reactor.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-s.ended; err != nil {
			t.Errorf("Run after Stop: %v", err)
		}
	})
}

func (s *server) dial(t testing.TB) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return c, bufio.NewReader(c)
}

func expect(t testing.TB, r *bufio.Reader, prefix string) {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, prefix) {
		t.Fatalf("got %q, %v, want %s", line, err, prefix)
	}
}

// TestDialogsOverTCP plays the transcripts that need no help from a harness against gnet.
func TestDialogsOverTCP(t *testing.T) {
	scripts, err := smtptest.Load(smtptest.Dialogs())
	if err != nil {
		t.Fatal(err)
	}
	played := 0
	servers := map[session.Limits]*server{} // starting and stopping gnet takes half a second
	for _, script := range scripts {
		limits, ok := limitsOf(script)
		if !ok {
			continue
		}
		s := servers[limits]
		if s == nil {
			s = startWith(t, limits, session.AcceptDomains([]string{"example.net"}))
			servers[limits] = s
		}
		splits := []smtptest.Split{smtptest.Whole}
		if _, wholeOnly := script.Setting("split"); !wholeOnly {
			splits = append(splits, smtptest.ByteByByte, smtptest.Random(1), smtptest.Random(2))
		}
		for _, split := range splits {
			peer, err := smtptest.Dial(s.address, 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			peer.OnDirective = func(directive, args string) error {
				return errDirective
			}
			err = smtptest.Play(script, peer, split)
			if err != nil && !errors.Is(err, errDirective) {
				t.Errorf("%v: %v", split, err)
			}
			if err == nil {
				played++
			}
			_ = peer.Close()
		}
	}
	if played < 30 {
		t.Errorf("only %d dialogs were played to their end", played)
	}
}

var errDirective = errors.New("this dialog needs a harness")

func limitsOf(script *smtptest.Script) (session.Limits, bool) {
	limits := testLimits()
	for _, s := range script.Settings {
		n, _ := strconv.ParseInt(s.Value, 10, 64)
		switch s.Key {
		case "limits.message_size":
			limits.MessageSize = n
		case "limits.recipients":
			limits.Recipients = int(n)
		case "limits.command_errors":
			limits.CommandErrors = int(n)
		case "limits.recipient_errors":
			limits.RecipientErrors = int(n)
		case "limits.junk_commands":
			limits.JunkCommands = int(n)
		case "limits.messages":
			limits.Messages = int(n)
		case "limits.received_headers":
			limits.ReceivedHeaders = int(n)
		case "split":
		default:
			return limits, false
		}
	}
	return limits, true
}

// TestLastReplyReachesClientThatSends checks that a client that is still sending can read
// the final reply. Closing with unread input would reset the connection. The client would
// see a write error in place of its 552, and retry for days.
func TestLastReplyReachesClientThatSends(t *testing.T) {
	limits := testLimits()
	limits.MessageSize = 64 << 10
	s := startWith(t, limits, session.AcceptAny())
	line := strings.Repeat("x", 78) + "\r\n"
	for i := range 100 {
		c, r := s.dial(t)
		_, _ = io.WriteString(c, "HELO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n")
		for _, want := range []string{"220", "250", "250", "250", "354"} {
			expect(t, r, want)
		}
		if _, err := io.WriteString(c, strings.Repeat(line, 1700)); err != nil { // over twice the limit
			t.Fatal(err)
		}
		if _, err := r.Peek(1); err != nil { // the server has sent its final reply
			t.Fatal(err)
		}
		for range 100 {
			if _, err := io.WriteString(c, line); err != nil {
				t.Fatalf("client %d: continuing to send: %v", i, err)
			}
		}
		expect(t, r, "552 5.3.4")
		if _, err := r.ReadByte(); err != io.EOF {
			t.Fatalf("after the last reply: %v", err)
		}
		_ = c.Close()
	}
}

// TestLastReplyReachesClientThatSendsAll checks that a client that reads nothing before
// it has sent everything receives its 552.
func TestLastReplyReachesClientThatSendsAll(t *testing.T) {
	limits := testLimits()
	limits.MessageSize = 64 << 10
	s := startWith(t, limits, session.AcceptAny())
	text := strings.Repeat(strings.Repeat("x", 78)+"\r\n", 400_000) // 32 MB
	for range 5 {
		c, r := s.dial(t)
		_, _ = io.WriteString(c, "HELO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n")
		for _, want := range []string{"220", "250", "250", "250", "354"} {
			expect(t, r, want)
		}
		if _, err := io.WriteString(c, text+".\r\nQUIT\r\n"); err != nil {
			t.Fatal(err)
		}
		expect(t, r, "552 5.3.4")
		if _, err := r.ReadByte(); err != io.EOF {
			t.Fatalf("after the last reply: %v", err)
		}
		_ = c.Close()
	}
}

// TestClosedSocketTouchesNothing checks that a closed socket neither reads nor writes:
// its descriptor may belong to another connection by now.
func TestClosedSocketTouchesNothing(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &socket{fd: int(w.Fd())} // the new owner of the descriptor
	s.markClosed()
	if n, err := s.Write([]byte("secret")); n != 0 || err == nil {
		t.Errorf("wrote %d bytes, %v", n, err)
	}
	s.CloseWrite()
	s.Discard(1)
	s.Close()
	if s.Input() != nil {
		t.Error("input after Close")
	}
	_ = w.Close()
	if got, _ := io.ReadAll(r); len(got) != 0 {
		t.Errorf("the new owner of the descriptor got %q", got)
	}
}

// TestLateResultReachesNoOtherClient checks that a result that arrives after its client
// has left is not written to the client that has the descriptor now.
func TestLateResultReachesNoOtherClient(t *testing.T) {
	s := start(t)
	s.store.holdAll()
	const clients = 50
	var gone []net.Conn
	for range clients {
		c, r := s.dial(t)
		_, _ = io.WriteString(c, "HELO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n")
		for _, want := range []string{"220", "250", "250", "250", "354"} {
			expect(t, r, want)
		}
		_, _ = io.WriteString(c, "text\r\n.\r\n")
		gone = append(gone, c)
	}
	testkit.Eventually(t, "all messages wait for the store", func() bool { return s.store.waiting() == clients })
	for _, c := range gone {
		_ = c.(*net.TCPConn).SetLinger(0) // a reset: a FIN alone is not the end
		_ = c.Close()
	}
	testkit.Eventually(t, "all sessions are gone", func() bool { return s.shared.SessionsOpen() == 0 })
	var strangers []net.Conn
	for range clients {
		c, r := s.dial(t)
		expect(t, r, "220")
		strangers = append(strangers, c)
	}
	s.store.release()
	for _, c := range strangers {
		_, _ = io.WriteString(c, "NOOP\r\n")
		r := bufio.NewReader(c)
		expect(t, r, "250 2.0.0 Ok\r\n")
		_, _ = io.WriteString(c, "QUIT\r\n")
		expect(t, r, "221")
	}
	testkit.Eventually(t, "body memory is free", func() bool { return s.shared.Budget.Used() == 0 })
}

func TestSecondProcessOnPort(t *testing.T) {
	s := start(t)
	second := newServer(testLimits(), session.AcceptAny())
	second.listenOn(s.address)
	err := second.start()
	if err == nil || !strings.Contains(err.Error(), s.address) || !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
}

// TestSocketBuffers checks that the socket buffers have the configured size, so that a
// peer that does not read is noticed.
func TestSocketBuffers(t *testing.T) {
	s := start(t)
	c, r := s.dial(t)
	expect(t, r, "220")
	fd := serverEnd(t, c)
	for option, want := range map[int]int{unix.SO_SNDBUF: 64 << 10, unix.SO_RCVBUF: 256 << 10} {
		got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option)
		if err != nil || got != 2*want { // socket(7): the kernel doubles it
			t.Errorf("option %d: got %d, %v, want twice %d", option, got, err, want)
		}
	}
}

// serverEnd returns the descriptor of this process's server end of the connection c.
func serverEnd(t *testing.T, c net.Conn) int {
	t.Helper()
	port := c.LocalAddr().(*net.TCPAddr).Port
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		fd, _ := strconv.Atoi(e.Name())
		peer, err := unix.Getpeername(fd)
		if in4, ok := peer.(*unix.SockaddrInet4); err == nil && ok && in4.Port == port {
			return fd
		}
	}
	t.Fatal("the server's end was not found")
	return -1
}

// TestDiscardNothing checks that gnet's Discard(0), which discards everything, is never
// called.
func TestDiscardNothing(t *testing.T) {
	c := &discardCounter{}
	s := &socket{conn: c}
	s.Discard(0)
	s.Discard(3)
	if len(c.discarded) != 1 || c.discarded[0] != 3 {
		t.Errorf("gnet was told to discard %v", c.discarded)
	}
}

type discardCounter struct {
	gnet.Conn
	discarded []int
}

func (c *discardCounter) Discard(n int) (int, error) {
	c.discarded = append(c.discarded, n)
	return n, nil
}

// TestDropUnsentResets checks that a close behind DropUnsent leaves nothing to the kernel.
func TestDropUnsentResets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) { (&socket{fd: int(fd)}).DropUnsent() })
	if err != nil || conn.Close() != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the client reads %v, want a reset", err)
	}
}

package reactor

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"sluice/gateway/session"
	"sluice/internal/testkit"
	"sluice/pipeline"
	"sluice/pipeline/discard"
)

const transaction = "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"

// sendHeld sends the server a message that its store holds back.
func (s *server) sendHeld(t testing.TB) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	s.store.holdAll()
	c, r := s.dial(t)
	_, _ = io.WriteString(c, "HELO c.example.org\r\n"+transaction)
	for _, want := range []string{"220", "250", "250", "250", "354"} {
		expect(t, r, want)
	}
	_, _ = io.WriteString(c, "text\r\n.\r\n")
	testkit.Eventually(t, "the store holds the message", func() bool { return s.store.waiting() == 1 })
	return c.(*net.TCPConn), r
}

// pauseIt makes the server pause a session that waits.
func (s *server) pauseIt(t testing.TB, c net.Conn) {
	t.Helper()
	_, _ = io.WriteString(c, strings.Repeat("NOOP\r\n", 1000))
	testkit.Eventually(t, "the session is paused", func() bool { return s.seen.now.Load() == 1 })
}

// TestGigabyteBehindFinalDot has a client pipeline as much as it can while its message is
// being stored. TCP must make it wait.
func TestGigabyteBehindFinalDot(t *testing.T) {
	limits := testLimits()
	limits.JunkCommands = 1 << 15
	s := newServer(limits, session.AcceptAny())
	s.run(t)
	c, r := s.sendHeld(t)
	chunk := bytes.Repeat([]byte("MAIL FROM:<a@example.com>\r\n"+"RSET\r\n"), 1<<15)
	sent := 0
	for sent < 1<<30 {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := c.Write(chunk)
		sent += n
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			break
		}
	}
	if sent > 32<<20 { // the socket buffers of both ends
		t.Errorf("%d bytes were read from a client whose session waits", sent)
	}
	if used := s.shared.Budget.Used(); used > 100<<10 {
		t.Errorf("%d bytes of the budget are used", used)
	}
	s.store.release()
	expect(t, r, "250 2.0.0 Ok 0")
	for i := range sent / len("MAIL FROM:<a@example.com>\r\nRSET\r\n") {
		line, err := r.ReadString('\n')
		if strings.HasPrefix(line, "421 4.7.0 mx1.example.net Too many commands without mail") && i > 1<<14 {
			break
		}
		if err != nil || !strings.HasPrefix(line, "250 2.1.0") {
			t.Fatalf("reply %d to MAIL: %q, %v", i, line, err)
		}
		if line, err = r.ReadString('\n'); strings.HasPrefix(line, "421 4.7.0 mx1.example.net Too many commands without mail") {
			break
		}
		if err != nil || !strings.HasPrefix(line, "250 2.0.0") {
			t.Fatalf("reply %d to RSET: %q, %v", i, line, err)
		}
	}
	_ = c.Close()
	testkit.Eventually(t, "all resources are released", func() bool {
		return s.shared.SessionsOpen() == 0 && s.shared.Budget.Used() == 0 && s.seen.now.Load() == 0
	})
}

// TestResetWhilePaused resets paused connections: gnet would panic in its pool if such a
// connection were enrolled.
func TestResetWhilePaused(t *testing.T) {
	s := start(t)
	for range 20 {
		c, _ := s.sendHeld(t)
		s.pauseIt(t, c)
		_ = c.SetLinger(0)
		_ = c.Close()
		s.store.release()
		testkit.Eventually(t, "the session ends", func() bool {
			return s.shared.SessionsOpen() == 0 && s.seen.now.Load() == 0
		})
	}
	if used := s.shared.Budget.Used(); used != 0 {
		t.Errorf("%d bytes of credit are outstanding", used)
	}
}

// TestCloseWhilePaused checks that a client that closes while paused is noticed when it
// is read again, and that its earlier input is processed.
func TestCloseWhilePaused(t *testing.T) {
	s := start(t)
	c, r := s.sendHeld(t)
	s.pauseIt(t, c)
	_, _ = io.WriteString(c, "QUIT\r\n")
	_ = c.CloseWrite()
	s.store.release()
	expect(t, r, "250 2.0.0 Ok 0")
	for range 100 { // over the limit of junk commands
		expect(t, r, "250 2.0.0 Ok")
	}
	expect(t, r, "421 4.7.0")
	testkit.Eventually(t, "the session ends", func() bool { return s.shared.SessionsOpen() == 0 })
}

// withoutDescriptors runs f while no descriptor is free.
func withoutDescriptors(t *testing.T, f func()) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 3
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

func TestNoDescriptorToPause(t *testing.T) {
	s := start(t)
	c, r := s.sendHeld(t)
	withoutDescriptors(t, func() {
		_, _ = io.WriteString(c, strings.Repeat("NOOP\r\n", 1000))
		expect(t, r, "421 4.3.1 mx1.example.net Too busy")
	})
	s.store.release()
	_ = c.Close()
	testkit.Eventually(t, "the session ends", func() bool {
		return s.shared.SessionsOpen() == 0 && s.shared.Budget.Used() == 0
	})
}

func TestNoDescriptorToResume(t *testing.T) {
	s := start(t)
	c, _ := s.sendHeld(t)
	s.pauseIt(t, c)
	withoutDescriptors(t, func() {
		s.store.release()
		testkit.Eventually(t, "the session ends", func() bool {
			return s.shared.SessionsOpen() == 0 && s.seen.now.Load() == 0
		})
	})
}

// TestEnrolmentFails checks that a connection that does not return to gnet ends its
// session, whether gnet reports an error, or reports success without an OnOpen.
func TestEnrolmentFails(t *testing.T) {
	for name, test := range map[string]struct {
		result *gnet.RegisteredResult
		later  time.Duration
		ended  bool
	}{
		"gnet reports an error": {&gnet.RegisteredResult{Err: errScripted}, 0, true},
		"gnet reports nothing":  {nil, enrolTimeout + time.Second, true},
		"it is still early":     {nil, enrolTimeout / 2, false},
		"an empty result":       {&gnet.RegisteredResult{}, 0, true},
		"the channel is closed": {nil, -1, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(testLimits(), session.AcceptAny())
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(pair[1])
			l := &loop{reactor: s.reactor}
			l.driver = s.shared.NewLoop(l, s.reactor.options.NewRandom())
			paused := &socket{fd: pair[0], loop: l, file: os.NewFile(uintptr(pair[0]), "paused")}
			l.driver.Open(&paused.state, paused, netip.MustParseAddrPort("192.0.2.1:99"), s.sessions)
			results := make(chan gnet.RegisteredResult, 1)
			if test.result != nil {
				results <- *test.result
			}
			if test.later < 0 {
				close(results)
			}
			l.awaitEnrolment(paused, results)
			l.checkEnrolments(time.Now().Add(test.later))
			if got := s.shared.SessionsOpen() == 0 && paused.fd == -1; got != test.ended {
				t.Errorf("ended: %v, want %v", got, test.ended)
			}
			if got := len(l.enrolments) == 0; got != test.ended {
				t.Errorf("enrolment dropped: %v", got)
			}
			paused.closeDuplicate()
		})
	}
}

var errScripted = errors.New("scripted")

// slowParts is a store that receives messages in parts, each on a goroutine of its own.
type slowParts struct {
	discard.Store
	mu    sync.Mutex
	parts map[int]string
	whole chan [sha256.Size]byte
}

func (s *slowParts) PartSize() int64 { return 16 << 10 }

func (s *slowParts) PutPart(p *pipeline.Part) {
	p.Message.Parts.Upload = s
	go func() {
		var text strings.Builder
		_, _ = p.Body.WriteTo(&text)
		s.mu.Lock()
		s.parts[p.Number] = text.String()
		s.mu.Unlock()
		p.Uploaded(nil)
	}()
}

func (s *slowParts) Abort(any) {}

func (s *slowParts) Put(m *pipeline.Message) {
	sum := sha256.New()
	_, _ = m.Body.WriteTo(sum)
	for n := 2; n < 2+len(s.parts); n++ {
		_, _ = io.WriteString(sum, s.parts[n])
	}
	s.whole <- [sha256.Size]byte(sum.Sum(nil))
	s.Store.Put(m)
}

// newPausingServer returns a server with memory for one part at a time, so that each part
// of a message is a pause.
func newPausingServer(parts int64) (*server, *slowParts) {
	s := &server{store: &heldStore{}, ended: make(chan error, 1)}
	store := &slowParts{parts: map[int]string{}, whole: make(chan [sha256.Size]byte, 1)}
	o := driverOptions(s, testLimits())
	o.Committer.Store = store
	o.Parts = pipeline.NewBudget(parts * pipeline.SlabBytes(56<<10))
	s.serve(o, testLimits(), session.AcceptAny())
	return s, store
}

func (s *server) sendLarge(t testing.TB, size int) [sha256.Size]byte {
	t.Helper()
	c, r := s.dial(t)
	_, _ = io.WriteString(c, "HELO c.example.org\r\n"+transaction)
	for _, want := range []string{"220", "250", "250", "250", "354"} {
		expect(t, r, want)
	}
	var text bytes.Buffer
	for i := 0; text.Len() < size; i++ {
		fmt.Fprintf(&text, "line %d of some mail text\r\n", i)
	}
	if _, err := c.Write(text.Bytes()); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, ".\r\nQUIT\r\n")
	expect(t, r, "250 2.0.0 Ok 0")
	expect(t, r, "221")
	return sha256.Sum256(text.Bytes())
}

// TestThousandPausesOverTCP sends a message through a thousand pauses.
func TestThousandPausesOverTCP(t *testing.T) {
	s, store := newPausingServer(1)
	s.run(t)
	want := s.sendLarge(t, 48<<20)
	if got := <-store.whole; got != want {
		t.Error("the message is not what was sent")
	}
	if n := s.seen.all.Load(); n < 500 {
		t.Errorf("only %d pauses", n)
	} else {
		t.Logf("%d pauses", n)
	}
	testkit.Eventually(t, "all resources are released", func() bool {
		return s.shared.SessionsOpen() == 0 && s.shared.Budget.Used() == 0 && s.shared.Parts.Used() == 0
	})
}

// BenchmarkPause sends the same message with many pauses and with none. The difference
// divided by their number is the cost of a pause.
func BenchmarkPause(b *testing.B) {
	for _, way := range []struct {
		name  string
		parts int64
	}{{"one part at a time", 1}, {"no pause", 2000}} {
		b.Run(way.name, func(b *testing.B) {
			s, store := newPausingServer(way.parts)
			s.run(b)
			before := cpuTime(b)
			for b.Loop() {
				store.parts = map[int]string{}
				s.sendLarge(b, 32<<20)
				<-store.whole
			}
			b.ReportMetric(float64(s.seen.all.Load())/float64(b.N), "pauses/op")
			b.ReportMetric((cpuTime(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/op")
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

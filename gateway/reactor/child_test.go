package reactor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"sluice/gateway/session"
	"sluice/internal/testkit"
)

// TestMain runs this binary as a server process if the environment says so.
func TestMain(m *testing.M) {
	switch os.Getenv("REACTOR_TEST_CHILD") {
	case "serve":
		os.Exit(serveChild())
	case "alone":
		if err := serveAlone(os.Getenv("REACTOR_TEST_ADDRESS")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	case "":
		os.Exit(m.Run())
	}
	os.Exit(2)
}

// serveChild serves, and answers each line on its standard input with the number of its
// goroutines and its resident memory in bytes.
func serveChild() int {
	if n, err := strconv.ParseUint(os.Getenv("REACTOR_TEST_FILES"), 10, 64); err == nil {
		limit := unix.Rlimit{Cur: n, Max: n}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
	}
	s := newServer(testLimits(), session.AcceptAny())
	if err := s.start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(s.address)
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			debug.FreeOSMemory()
			fmt.Println(runtime.NumGoroutine(), resident(), s.shared.SessionsOpen(), s.all())
		}
	}()
	err := <-s.ended
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func resident() int64 {
	raw, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return -1
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

type child struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	address string
	stderr  lockedBuffer
}

// lockedBuffer is a buffer that can be read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func startChild(t *testing.T, env ...string) *child {
	t.Helper()
	return startChildWith(t, nil, env...)
}

// startChildWith starts the server through the command starter.
func startChildWith(t *testing.T, starter []string, env ...string) *child {
	t.Helper()
	command := append(starter, childBinary(t))
	c := &child{cmd: exec.Command(command[0], command[1:]...)}
	c.cmd.Env = append(append(os.Environ(), "REACTOR_TEST_CHILD=serve"), env...)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.cmd.Stderr = &c.stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the starter and its children
		_ = unix.Kill(-c.cmd.Process.Pid, unix.SIGKILL)
		_ = c.cmd.Wait()
	})
	line, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v %s", err, c.stderr.String())
	}
	c.address = strings.TrimSpace(line)
	return c
}

// childBinary returns this test's own binary, or one that was built without the race
// detector if that is on, because it multiplies memory.
func childBinary(t *testing.T) string {
	t.Helper()
	if !raceEnabled {
		return os.Args[0]
	}
	binary := filepath.Join(t.TempDir(), "child")
	if out, err := exec.Command("go", "test", "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func (c *child) measure(t *testing.T) (goroutines int, memory, sessions int64) {
	t.Helper()
	goroutines, memory, sessions, _ = c.measureAll(t)
	return goroutines, memory, sessions
}

func (c *child) measureAll(t *testing.T) (goroutines int, memory, sessions, failed int64) {
	t.Helper()
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanln(c.out, &goroutines, &memory, &sessions, &failed); err != nil {
		t.Fatal(err)
	}
	return goroutines, memory, sessions, failed
}

// TestIdleSessions opens 5,000 sessions that idle after EHLO. They need no additional
// goroutine, and at most 1.25 KB of resident memory each.
func TestIdleSessions(t *testing.T) {
	const sessions, most = 5000, 1250
	c := startChild(t)
	idle := func(n int) {
		conns := make([]net.Conn, 0, n)
		for range n {
			conn, err := net.Dial("tcp", c.address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
			r := bufio.NewReaderSize(conn, 256)
			expect(t, r, "220")
			_, _ = io.WriteString(conn, "EHLO client.example.com\r\n")
			for _, want := range []string{"250-", "250-", "250-", "250-", "250 "} {
				expect(t, r, want)
			}
		}
	}
	idle(100) // both loops have had a connection
	goroutines, before, _ := c.measure(t)
	idle(sessions)
	grown, after, open := c.measure(t)
	if open != sessions+100 {
		t.Fatalf("%d sessions are open", open)
	}
	if grown > goroutines {
		t.Errorf("goroutines grew from %d to %d", goroutines, grown)
	}
	each := (after - before) / sessions
	t.Logf("%d bytes resident for each idle session", each)
	if each > most {
		t.Errorf("%d bytes resident for each idle session, want at most %d", each, most)
	}
}

// TestNoDescriptorToAccept checks that connections wait while no descriptor is free for
// them, that open sessions continue, and that the trouble is counted and reported once.
func TestNoDescriptorToAccept(t *testing.T) {
	const files = 40
	c := startChild(t, "REACTOR_TEST_FILES="+strconv.Itoa(files))
	var conns []net.Conn
	t.Cleanup(func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	for range files + 20 {
		conn, err := net.Dial("tcp", c.address)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		conns = append(conns, conn)
	}
	first := bufio.NewReader(conns[0])
	expect(t, first, "220")
	testkit.Eventually(t, "accepts fail", func() bool {
		_, _, _, failed := c.measureAll(t)
		return failed > 2
	})
	_, _ = io.WriteString(conns[0], "NOOP\r\n")
	expect(t, first, "250")
	last := conns[len(conns)-1]
	for _, conn := range conns[1 : len(conns)-1] {
		_ = conn.Close()
	}
	expect(t, bufio.NewReader(last), "220")
	if n := strings.Count(c.stderr.String(), "trouble"); n != 2 {
		t.Errorf("trouble was reported %d times: %s", n, c.stderr.String())
	}
}

// TestAcceptErrors makes the kernel return each documented error from accept4, and checks
// that the next connection is accepted.
func TestAcceptErrors(t *testing.T) {
	strace := testkit.Tool(t, "strace")
	for _, name := range []string{
		"EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EPERM", "EPROTO", "ECONNABORTED", "EINTR",
		"ENETDOWN", "EHOSTUNREACH", "EOPNOTSUPP", "ETIMEDOUT",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startChildWith(t, []string{strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=accept4",
				"-e", "inject=accept4:error=" + name + ":when=1..2"})
			for range 3 {
				conn, err := net.Dial("tcp", c.address)
				if err != nil {
					t.Fatal(err)
				}
				_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
				expect(t, bufio.NewReader(conn), "220")
				_ = conn.Close()
			}
		})
	}
}

// TestStalledLoop checks that a loop that no longer runs ends the process, after the
// other loops were drained. The loop is detected by the ticks that it misses in a row.
func TestStalledLoop(t *testing.T) {
	s := newServer(testLimits(), session.AcceptAny())
	stuck, turns := &loop{reactor: s.reactor}, &loop{reactor: s.reactor}
	for _, l := range []*loop{stuck, turns} {
		l.driver = s.shared.NewLoop(l, s.reactor.options.NewRandom())
	}
	stuck.gnet, turns.gnet = stalledLoop{}, runningLoop{}
	s.reactor.loops[0].Store(stuck)
	s.reactor.loops[1].Store(turns)
	for range missedTicks {
		s.reactor.OnTick()
		select {
		case err := <-s.reactor.Failed():
			t.Fatalf("too early: %v", err)
		default:
		}
	}
	s.reactor.OnTick()
	select {
	case err := <-s.reactor.Failed():
		if !errors.Is(err, ErrLoopEnded) {
			t.Error(err)
		}
	default:
		t.Error("a loop that missed a minute of ticks counts as alive")
	}
	if turns.missed != 0 {
		t.Errorf("the other loop missed %d ticks", turns.missed)
	}
}

// stalledLoop is a gnet loop that executes nothing, runningLoop one that executes.
type (
	stalledLoop struct{ gnet.EventLoop }
	runningLoop struct{ gnet.EventLoop }
)

func (stalledLoop) Execute(context.Context, gnet.Runnable) error { return nil }

func (runningLoop) Execute(ctx context.Context, r gnet.Runnable) error { return r.Run(ctx) }

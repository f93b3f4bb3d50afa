package reactor

import (
	"bufio"
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
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/gateway/session"
)

// TestMain runs this binary as a server process when it is told to.
func TestMain(m *testing.M) {
	switch os.Getenv("REACTOR_TEST_CHILD") {
	case "serve":
		os.Exit(serveChild())
	case "":
		os.Exit(m.Run())
	}
	os.Exit(2)
}

// serveChild serves, and answers each line on its standard input with its
// goroutines and its resident memory in octets.
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
			fmt.Println(runtime.NumGoroutine(), resident(), s.shared.SessionsOpen())
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
	stderr  strings.Builder
}

func startChild(t *testing.T, env ...string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(childBinary(t))}
	c.cmd.Env = append(append(os.Environ(), "REACTOR_TEST_CHILD=serve"), env...)
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
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); _ = c.cmd.Wait() })
	line, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v %s", err, c.stderr.String())
	}
	c.address = strings.TrimSpace(line)
	return c
}

// childBinary gives this test's own binary, or, because the race detector
// multiplies memory, one that was built without it.
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

func (c *child) measure(t *testing.T) (goroutines int, octets, sessions int64) {
	t.Helper()
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanln(c.out, &goroutines, &octets, &sessions); err != nil {
		t.Fatal(err)
	}
	return goroutines, octets, sessions
}

// 5,000 idle sessions, each past its EHLO: no goroutine more, and at most 1.2 KB
// of resident memory each.
func TestIdleSessions(t *testing.T) {
	const sessions, most = 5000, 1200
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
	idle(100) // both loops have seen a connection
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
	t.Logf("%d octets resident for each idle session", each)
	if each > most {
		t.Errorf("%d octets resident for each idle session, at most %d wanted", each, most)
	}
}

// gnet ends its engine, without an error, when accept finds no descriptor. That
// must end the process with one.
func TestAcceptFailingForGoodIsAnError(t *testing.T) {
	c := startChild(t, "REACTOR_TEST_FILES=40")
	var conns []net.Conn
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	for range 60 {
		conn, err := net.Dial("tcp", c.address)
		if err != nil {
			break
		}
		conns = append(conns, conn)
	}
	err := c.cmd.Wait()
	if err == nil || c.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(c.stderr.String(), ErrEngineEnded.Error()) {
		t.Errorf("the process ended with %v: %s", err, c.stderr.String())
	}
}

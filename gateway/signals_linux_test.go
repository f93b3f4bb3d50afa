package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/gateway/config"
	"sluice/internal/testkit"
)

// servedEnv makes the test binary run these words as a command line.
const servedEnv = "TEST_SERVED"

// TestServedGateway is that command line.
func TestServedGateway(t *testing.T) {
	words := os.Getenv(servedEnv)
	if words == "" {
		return
	}
	os.Exit(app{env: os.Environ(), in: os.Stdin, out: os.Stdout, err: os.Stderr, serve: serve}.run(strings.Fields(words)))
}

// served is a gateway in a process of its own.
type served struct {
	t           *testing.T
	command     *exec.Cmd
	smtp, admin string
	ended       chan error
}

// startServed starts the gateway with this standard output and standard error.
func startServed(t *testing.T, out, log io.Writer, env ...string) *served {
	t.Helper()
	s := newServed(t, env...)
	s.command.Stdout, s.command.Stderr = out, log
	s.start()
	s.awaitReady()
	return s
}

// newServed prepares a gateway.
func newServed(t *testing.T, env ...string) *served {
	t.Helper()
	s := &served{t: t, smtp: "127.0.0.1:" + testkit.FreePort(t), admin: "127.0.0.1:" + testkit.FreePort(t), ended: make(chan error, 1)}
	s.command = exec.Command(os.Args[0], "-test.run=^TestServedGateway$")
	s.command.Env = append(append(os.Environ(), env...), "SLUICE_EVENTS_EMBEDDED_ADDRESS=127.0.0.1:0",
		servedEnv+"=--data "+t.TempDir()+" --listen "+s.smtp+" --admin "+s.admin)
	return s
}

// start starts it, and kills it at the end of the test.
func (s *served) start() {
	s.t.Helper()
	if err := s.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { s.ended <- s.command.Wait() }()
	s.t.Cleanup(func() { _ = s.command.Process.Kill() })
}

func (s *served) awaitReady() {
	s.t.Helper()
	testkit.Eventually(s.t, "the gateway is ready", func() bool {
		response, err := http.Get("http://" + s.admin + "/readyz")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// deliver sends a message, and causes a refusal to be logged.
func (s *served) deliver() {
	s.t.Helper()
	c := testkit.DialSMTP(s.t, s.smtp)
	c.Expect("220 ")
	_, _ = io.WriteString(c.Conn, "BLAH\r\nHELO c.example.org\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\nx: y\r\n\r\ntext\r\n.\r\nQUIT\r\n")
	for _, want := range []string{"500 ", "250 ", "250 ", "250 ", "354 ", "250 2.0.0 Ok 0", "221 "} {
		c.Expect(want)
	}
}

// end sends SIGTERM and expects exit code 0 soon.
func (s *served) end() {
	s.t.Helper()
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Errorf("it ended with %v", err)
		}
	case <-time.After(time.Minute):
		s.t.Error("it does not end")
	}
}

// fullPipe returns a pipe that accepts no more data.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 4096); ; {
		if _, err := unix.Write(ends[1], block); errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	if err := unix.SetNonblock(ends[1], false); err != nil { // as a shell passes it
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(ends[0]) })
	write := os.NewFile(uintptr(ends[1]), "full pipe")
	t.Cleanup(func() { _ = write.Close() })
	return write
}

// closedPipe returns a pipe without a reader.
func closedPipe(t *testing.T) *os.File {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = read.Close()
	t.Cleanup(func() { _ = write.Close() })
	return write
}

// TestReadersOfTheOutput checks that a reader of the gateway's output may stand still or
// go away. Mail, drain and exit must not wait for it, and the lines that it misses are
// counted.
func TestReadersOfTheOutput(t *testing.T) {
	for _, c := range []struct {
		name     string
		out, log func(*testing.T) *os.File
		dropped  bool
		format   string
	}{
		{"log stands still", nil, fullPipe, false, config.FormatText},
		{"log is closed", nil, closedPipe, true, config.FormatText},
		{"both stand still", fullPipe, fullPipe, false, config.FormatText},
		{"both are closed", closedPipe, closedPipe, true, config.FormatText},
		{"both are closed, JSON", closedPipe, closedPipe, true, config.FormatJSON},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, log := io.Discard, io.Discard
			if c.out != nil {
				out = c.out(t)
			}
			if c.log != nil {
				log = c.log(t)
			}
			s := startServed(t, out, log, "SLUICE_LOG_FORMAT="+c.format)
			for range 5 {
				s.deliver()
			}
			if c.dropped {
				testkit.Eventually(t, "lost lines are counted", func() bool { return s.droppedLines() > 0 })
			}
			s.end()
		})
	}
}

// TestNobodyReadsWhatIsWrong checks that an invalid configuration ends the program even
// without a reader of the error.
func TestNobodyReadsWhatIsWrong(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(testkit.Deadline(t), os.Args[0], "-test.run=^TestServedGateway$")
	command.Env = append(os.Environ(), servedEnv+"=--listen nowhere")
	command.Stderr = fullPipe(t)
	if _ = command.Run(); command.ProcessState.ExitCode() != exitConfig {
		t.Errorf("it ended with %s", command.ProcessState)
	}
}

// TestHangupAtTheEnd checks that SIGHUP has no effect up to the very end, when the
// process may be waiting for the log.
func TestHangupAtTheEnd(t *testing.T) {
	t.Parallel()
	s := startServed(t, io.Discard, fullPipe(t))
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it closes what it stands on", func() bool {
		conn, err := net.Dial("tcp", s.admin)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	if err := s.command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// droppedLines returns the number of dropped log lines.
func (s *served) droppedLines() int {
	response, err := http.Get("http://" + s.admin + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if count, found := strings.CutPrefix(lines.Text(), "sluice_log_lines_dropped_total "); found && count != "0" {
			return 1
		}
	}
	return 0
}

// TestHangup checks that SIGHUP, sent by a closed terminal and by `systemctl reload`, is
// reloads the configuration and does not interrupt mail, and that the last line reports
// the drain.
func TestHangup(t *testing.T) {
	var log testkit.Buffer
	s := startServed(t, io.Discard, &log)
	s.deliver()
	for range 2 {
		if err := s.command.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "the configuration is reloaded", func() bool { return strings.Contains(log.String(), "configuration reloaded") })
	s.deliver()
	conn, err := net.Dial("tcp", s.smtp)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := testkit.NewSMTP(t, conn)
	c.Expect("220 ")
	s.end()
	c.Expect("421 ")
	for _, want := range []string{
		"msg=drained sessions_open=1 sessions_finished=1 sessions_cut=0 messages=0 seconds=",
		"level=INFO msg=accepted id=", // on loopback, for people
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not in\n%s", want, log.String())
		}
	}
}

// TestEverythingIsJSON checks that with log.format json everything that the gateway
// prints while it serves is JSON lines, with its configuration as an object.
func TestEverythingIsJSON(t *testing.T) {
	var log testkit.Buffer
	s := startServed(t, &log, &log, "SLUICE_LOG_FORMAT=json", "SLUICE_LIMITS_RECIPIENTS=777",
		"SLUICE_TRUSTED_NETWORKS=192.0.2.0/24,2001:db8::/32", "SLUICE_STORE_S3_SECRET_KEY=hush-hush")
	s.deliver()
	s.end()
	seen := map[string]map[string]any{}
	for line := range strings.Lines(log.String()) {
		var values map[string]any
		if err := json.Unmarshal([]byte(line), &values); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		seen[values["msg"].(string)] = values
	}
	for _, want := range []string{"configuration", "serving", "refused", "shutting down", "drained"} {
		if seen[want] == nil {
			t.Errorf("no line says %s", want)
		}
	}
	set, _ := seen["configuration"]["set"].(map[string]any)
	limits, _ := set["limits"].(map[string]any)
	networks, _ := set["trusted_networks"].([]any)
	if limits["recipients"] != 777.0 || len(networks) != 2 || strings.Contains(log.String(), "hush") {
		t.Errorf("the configuration is %v", set)
	}
	if smtp, _ := seen["serving"]["smtp"].([]any); len(smtp) != 1 || smtp[0] != s.smtp {
		t.Errorf("it serves on %v", seen["serving"])
	}
}

// TestLastWordsAreJSON checks the same of the last line of a gateway that had to cut a
// session, and of one that could not start. A cut session must not be blamed on its
// client.
func TestLastWordsAreJSON(t *testing.T) {
	var log testkit.Buffer
	s := startServed(t, &log, &log, "SLUICE_LOG_FORMAT=json")
	conn, err := net.Dial("tcp", s.smtp)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := testkit.NewSMTP(t, conn)
	c.Expect("220 ")
	_, _ = io.WriteString(conn, "HELO c.example.org\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\nx: y\r\n")
	for _, want := range []string{"250 ", "250 ", "250 ", "354 "} {
		c.Expect(want)
	}
	for _, moment := range []string{"shutting down", ""} {
		if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if moment != "" {
			testkit.Eventually(t, moment, func() bool { return strings.Contains(log.String(), moment) })
		}
	}
	if err := <-s.ended; err == nil || s.command.ProcessState.ExitCode() != exitFailure {
		t.Errorf("ended with %v", err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	second := exec.Command(os.Args[0], "-test.run=^TestServedGateway$")
	second.Env = append(os.Environ(), "SLUICE_LOG_FORMAT=json", "SLUICE_EVENTS_EMBEDDED_ADDRESS=127.0.0.1:0",
		servedEnv+"=--data "+t.TempDir()+" --listen "+taken.Addr().String()+" --admin 127.0.0.1:0")
	second.Stdout, second.Stderr = &log, &log
	if err := second.Run(); err == nil {
		t.Error("a taken port is no error")
	}
	for line := range strings.Lines(log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %q", line)
		}
	}
	for _, want := range []string{`"cause":"cut"`, `"err":"1 sessions were cut`, `"err":"cannot listen on ` + taken.Addr().String()} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is not in\n%s", want, log.String())
		}
	}
}

package sluice_test

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/testkit"
)

// skipShort skips a test that builds the program, which is not for make check.
func skipShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the program")
	}
}

// TestMakeBuild builds in a copy of the tree without .git, as an image has it.
func TestMakeBuild(t *testing.T) {
	skipShort(t)
	around := t.TempDir()
	copied := filepath.Join(around, "copied")
	if err := os.Mkdir(copied, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Makefile", "VERSION", "go.mod", "go.sum"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"codec", "gateway", "index", "internal", "metrics", "pipeline"} {
		if err := os.CopyFS(filepath.Join(copied, folder), os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("VERSION")
	if err != nil {
		t.Fatal(err)
	}
	// An archive may be unpacked inside another repository, which says nothing of it.
	for _, words := range []string{"init -q", "-c user.name=a -c user.email=a@example.org commit -q --allow-empty -m other"} {
		git := exec.CommandContext(t.Context(), "git", append([]string{"-C", around}, strings.Fields(words)...)...)
		if out, err := git.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", words, err, out)
		}
	}
	for revision, more := range map[string][]string{"unknown": nil, "abc123": {"REVISION=abc123"}} {
		build := exec.CommandContext(t.Context(), "make", append([]string{"-s", "-C", copied, "build"}, more...)...)
		if out, err := build.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("make build: %v\n%s", err, out)
		}
		said, err := exec.CommandContext(t.Context(), filepath.Join(copied, "bin", "sluice"), "version").Output()
		if want := "sluice " + strings.TrimSpace(string(want)) + " (revision " + revision + ", "; err != nil || !strings.HasPrefix(string(said), want) {
			t.Errorf("got %q, %v, want %s", said, err, want)
		}
	}
}

// TestMakeRun: whatever is ended, make or the gateway, the gateway ends and its ports
// are free. It drains unless it was killed, and only then make speaks of an error.
func TestMakeRun(t *testing.T) {
	skipShort(t)
	for _, c := range []struct {
		name   string
		end    func(make *os.Process) error
		killed bool // the gateway
	}{
		{"Ctrl-C", func(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGINT) }, false},
		{"SIGTERM to make", func(p *os.Process) error { return p.Signal(syscall.SIGTERM) }, false},
		{"SIGTERM to what runs", func(p *os.Process) error { return syscall.Kill(childOf(t, p.Pid), syscall.SIGTERM) }, false},
		{"SIGKILL to make", func(p *os.Process) error { return p.Kill() }, false},
		{"SIGKILL to what runs", func(p *os.Process) error { return syscall.Kill(childOf(t, p.Pid), syscall.SIGKILL) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "SIGKILL to make" && exec.CommandContext(t.Context(), "setpriv", "--pdeathsig", "TERM", "true").Run() != nil {
				testkit.Missing(t, "no setpriv that knows --pdeathsig: nothing here ends with a killed make")
			}
			run := exec.Command("make", "run", "ARGS=--data "+t.TempDir()+" --listen 127.0.0.1:0 --admin 127.0.0.1:0")
			run.Env = append(os.Environ(), "SLUICE_EVENTS_EMBEDDED_ADDRESS=127.0.0.1:0")
			run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			var said testkit.Buffer
			run.Stdout, run.Stderr = &said, &said
			if err := run.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- run.Wait() }()
			t.Cleanup(func() { _ = syscall.Kill(-run.Process.Pid, syscall.SIGKILL) })
			var smtp string
			for deadline := time.Now().Add(3 * time.Minute); smtp == ""; time.Sleep(20 * time.Millisecond) {
				if found := regexp.MustCompile(`(?m)^  SMTP +(\S+:\d+)`).FindStringSubmatch(said.String()); found != nil {
					smtp = found[1]
				}
				if time.Now().After(deadline) {
					t.Fatalf("it does not run:\n%s", said.String())
				}
			}
			conn, err := net.Dial("tcp", smtp)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
			if err := c.end(run.Process); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-time.After(30 * time.Second):
				t.Fatal("make does not end")
			}
			text := said.String()
			if complains := strings.Contains(text, "***"); complains != c.killed || strings.Contains(text, "panic") {
				t.Errorf("it ended with\n%s", text)
			}
			if drained := strings.Contains(text, "shutting down"); drained == c.killed {
				t.Errorf("drained: %v\n%s", drained, text)
			}
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				l, err := net.Listen("tcp", smtp)
				if err == nil {
					_ = l.Close()
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("the port is not free: %v", err)
				}
			}
		})
	}
}

// make fails with 2 whatever the gateway's exit code was, so it names that.
func TestMakeRunNamesTheExitCode(t *testing.T) {
	skipShort(t)
	for args, code := range map[string]string{"--admin 127.0.0.1:no-port": "78", "--no-such-flag": "2"} {
		out, err := exec.CommandContext(t.Context(), "make", "run", "ARGS="+args).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "run] Error "+code+"\n") {
			t.Errorf("%s: %v, want code %s\n%s", args, err, code, out)
		}
	}
}

// childOf returns the process that another one has started.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ps", "-o", "pid=,ppid=,comm=", "-e").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		var child, parent int
		var name string
		if fields := strings.Fields(line); len(fields) == 3 {
			child, parent, name = atoi(fields[0]), atoi(fields[1]), fields[2]
		}
		if parent == pid && name == "sluice" {
			return child
		}
	}
	t.Fatalf("%d has no child:\n%s", pid, out)
	return 0
}

func atoi(text string) (n int) {
	for _, c := range text {
		n = 10*n + int(c-'0')
	}
	return n
}

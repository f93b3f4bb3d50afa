package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/internal/testkit"
)

// openTerminal returns the two ends of a terminal: its screen with its keyboard, and what
// programs have of it.
func openTerminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		testkit.Missing(t, "no terminals: "+err.Error())
	}
	t.Cleanup(func() { _ = screen.Close() })
	var number int
	raw, err := screen.SyscallConn() // Fd would let Close wait for a Read
	if err != nil {
		t.Fatal(err)
	}
	var unlocked, numbered error
	err = raw.Control(func(fd uintptr) {
		unlocked = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		number, numbered = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
	})
	if err := errors.Join(err, unlocked, numbered); err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return screen, tty
}

// inTerminal makes a command the first of a session on a terminal of its own. Closing
// screen closes the terminal, once the command was started.
func inTerminal(t *testing.T, command *exec.Cmd) (screen, tty *os.File) {
	t.Helper()
	screen, tty = openTerminal(t)
	command.Stdin = tty
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	return screen, tty
}

// TestTerminalIsClosed checks that a gateway ends with its terminal, in order, as the
// first process there.
func TestTerminalIsClosed(t *testing.T) {
	t.Parallel()
	var log testkit.Buffer
	s := newServed(t)
	s.command.Stdout, s.command.Stderr = io.Discard, &log
	screen, tty := inTerminal(t, s.command)
	s.start()
	_ = tty.Close()
	s.awaitReady()
	if err := s.command.Process.Signal(syscall.SIGHUP); err != nil { // while it is open
		t.Fatal(err)
	}
	testkit.Eventually(t, "the configuration is reloaded", func() bool { return strings.Contains(log.String(), "configuration reloaded") })
	s.deliver()
	_ = screen.Close()
	if err := <-s.ended; err != nil || !strings.Contains(log.String(), "shutting down: the terminal was closed") {
		t.Errorf("it ended with %v\n%s", err, log.String())
	}
}

// TestShellIsClosed checks the same of a gateway that was started from a shell, which
// passes SIGHUP on; and that one goes on which was started to outlive it.
func TestShellIsClosed(t *testing.T) {
	testkit.Tool(t, "bash")
	for _, c := range []struct {
		name, begin, then string
		outlives          bool
	}{
		{"in the background", "", "", false},
		{"nohup", "nohup ", "", true},
		{"disowned", "", "disown", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, log := newServed(t), filepath.Join(t.TempDir(), "log")
			gateway := s.command
			s.command = exec.Command("bash", "--norc", "-i")
			s.command.Env = gateway.Env
			screen, tty := inTerminal(t, s.command)
			s.command.Stdout, s.command.Stderr = tty, tty
			s.start()
			_ = tty.Close()
			go func() { _, _ = io.Copy(io.Discard, screen) }()
			fmt.Fprintf(screen, "%s%s %s >%s 2>&1 & echo $! >%s.pid; %s\n", c.begin, gateway.Path, gateway.Args[1], log, log, c.then)
			s.awaitReady()
			text, err := os.ReadFile(log + ".pid")
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
			said := func(what string) func() bool {
				return func() bool {
					text, err := os.ReadFile(log)
					return err == nil && strings.Contains(string(text), what)
				}
			}
			gone := func() bool { return syscall.Kill(pid, 0) != nil }
			_ = screen.Close()
			<-s.ended // the shell
			if !c.outlives {
				testkit.Eventually(t, "it ends", gone)
				if !said("the terminal was closed")() || !said("msg=drained")() {
					t.Error("it does not say why it ended")
				}
				return
			}
			if c.then == "" { // the shell has passed SIGHUP on
				testkit.Eventually(t, "it reloads", said("configuration reloaded"))
			}
			s.deliver()
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, "it ends", gone)
			if !said("signal=terminated")() {
				t.Error("it ended by itself")
			}
		})
	}
}

// TestEarlyHangups checks that SIGHUP does not end a process that still reads its
// configuration, and that what it says is read again then.
func TestEarlyHangups(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	configuration, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = configuration.Close() })
	var log testkit.Buffer
	s := newServed(t, "SLUICE_CONFIG="+pipe)
	s.command.Stdout, s.command.Stderr = io.Discard, &log
	s.start()
	testkit.Eventually(t, "it reads", func() bool {
		files, err := filepath.Glob(fmt.Sprint("/proc/", s.command.Process.Pid, "/fd/*"))
		return err == nil && slices.ContainsFunc(files, func(file string) bool {
			to, err := os.Readlink(file)
			return err == nil && to == pipe
		})
	})
	for range 100 {
		if err := s.command.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(configuration, "accept: {any: true}\n"); err != nil {
		t.Fatal(err)
	}
	_ = configuration.Close()
	s.awaitReady()
	testkit.Eventually(t, "SIGHUP has its effect", func() bool { return strings.Contains(log.String(), "the one before stays") })
	s.deliver()
	s.end()
}

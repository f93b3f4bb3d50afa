package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/gateway/identity"
	"sluice/gateway/identity/static"
	"sluice/internal/testkit"
)

var hashLine = regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}\n$`)

// accepts reports whether a hash, as it was printed, lets a user in with a password.
func accepts(t *testing.T, printed, password string) bool {
	t.Helper()
	name := t.TempDir() + "/users"
	if err := os.WriteFile(name, []byte("ann:"+printed), 0o600); err != nil {
		t.Fatal(err)
	}
	users, err := static.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	attempt := identity.Attempt{Mechanism: "PLAIN", User: "ann", Secret: []byte(password)}
	return static.New(users).Authenticate(context.Background(), &attempt).Verdict == identity.Accepted
}

// TestHashPassword needs no configuration, so that a bad one is no obstacle.
func TestHashPassword(t *testing.T) {
	longest := strings.Repeat("x", identity.MaxSecret)
	for _, c := range []struct{ given, password, err string }{
		{"secret", "secret", ""},
		{"secret\n", "secret", ""},
		{"secret\r\n", "secret", ""},
		{"secret\n\n", "secret\n", ""},
		{" sécret ", " sécret ", ""},
		{longest, longest, ""},
		{longest + "\r\n", longest, ""},
		{longest + "x", "", "the password is longer than 8192 bytes"},
		{strings.Repeat(longest, 100), "", "the password is longer than 8192 bytes"},
		{"", "", "the password is empty"},
		{"\n", "", "the password is empty"},
		{"\r\n", "", "the password is empty"},
		{"sec\x00ret", "", "the password has a NUL"},
	} {
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = io.WriteString(out, c.given) // more than a pipe holds is not read to its end
			_ = out.Close()
		}()
		var printed, errs strings.Builder
		code := app{env: []string{"SLUICE_X=1"}, in: in, out: &printed, err: &errs}.run([]string{"hash-password"})
		_ = in.Close()
		if c.err != "" {
			if code != exitFailure || printed.String() != "" || !strings.Contains(errs.String(), c.err) {
				t.Errorf("%.10q: code %d, %q, %q", c.given, code, printed.String(), errs.String())
			}
			continue
		}
		if code != exitOK || errs.String() != "" || !hashLine.MatchString(printed.String()) || !accepts(t, printed.String(), c.password) {
			t.Errorf("%.10q: code %d, %q, %q", c.given, code, printed.String(), errs.String())
		}
	}
}

// typist types at a terminal when it is asked.
type typist struct {
	t           *testing.T
	screen, tty *os.File
	shown       *bufio.Reader
}

func newTypist(t *testing.T) *typist {
	t.Helper()
	screen, tty := openTerminal(t)
	return &typist{t, screen, tty, bufio.NewReader(screen)}
}

// answer types a line after a prompt, once the terminal does not show it.
func (p *typist) answer(prompt, line string) {
	p.t.Helper()
	p.await(prompt)
	testkit.Eventually(p.t, "the terminal shows nothing", func() bool { return !p.echoes() })
	if _, err := io.WriteString(p.screen, line); err != nil {
		p.t.Error(err)
	}
}

// await reads what is shown up to a prompt, which has to come first.
func (p *typist) await(prompt string) {
	p.t.Helper()
	shown, err := p.shown.ReadString(' ')
	if err != nil || strings.TrimLeft(shown, "\r\n") != prompt {
		p.t.Errorf("it shows %q, not %q: %v", shown, prompt, err)
	}
}

// echoes reports whether the terminal shows what is typed.
func (p *typist) echoes() bool {
	p.t.Helper()
	var echo uint32
	raw, err := p.tty.SyscallConn()
	if err != nil {
		p.t.Fatal(err)
	}
	var got error
	err = raw.Control(func(fd uintptr) {
		var state *unix.Termios
		if state, got = unix.IoctlGetTermios(int(fd), unix.TCGETS); got == nil {
			echo = state.Lflag & unix.ECHO
		}
	})
	if err := errors.Join(err, got); err != nil {
		p.t.Fatal(err)
	}
	return echo != 0
}

// TestHashPasswordAtTerminal types it twice. Nothing of it is shown.
func TestHashPasswordAtTerminal(t *testing.T) {
	for _, c := range []struct{ first, second, err string }{
		{"sécret\n", "sécret\n", ""},
		{"secret\n", "Secret\n", "the two passwords differ"},
		{"\n", "\n", "the password is empty"},
		{strings.Repeat("x", 6000) + "\n", "x\n", "too long for a terminal"},
	} {
		p := newTypist(t)
		typed := make(chan struct{})
		go func() {
			defer close(typed)
			p.answer("Password: ", c.first)
			p.answer("Again: ", c.second)
		}()
		var printed strings.Builder
		code := app{in: p.tty, out: &printed, err: p.tty}.run([]string{"hash-password"})
		<-typed
		if c.err == "" {
			if code != exitOK || !hashLine.MatchString(printed.String()) || !accepts(t, printed.String(), strings.TrimSuffix(c.first, "\n")) {
				t.Errorf("code %d, %q", code, printed.String())
			}
		} else if code != exitFailure || printed.String() != "" {
			t.Errorf("%.10q: code %d, %q", c.first, code, printed.String())
		}
		if !p.echoes() {
			t.Errorf("%.10q: the terminal shows nothing any more", c.first)
		}
		if _, err := io.WriteString(p.tty, " .\n"); err != nil { // ends what is shown
			t.Fatal(err)
		}
		rest, err := p.shown.ReadString('.')
		if err != nil || !strings.Contains(rest, c.err) || strings.Contains(rest, "cret") || c.err == "" && strings.TrimSpace(rest) != "." {
			t.Errorf("%.10q: it shows %q, %v", c.first, rest, err)
		}
	}
}

// TestHashPasswordInterrupted checks that Ctrl-C ends the program as it ends any other, and
// leaves a terminal that shows what is typed.
func TestHashPasswordInterrupted(t *testing.T) {
	p := newTypist(t)
	command := exec.Command(os.Args[0], "-test.run=^TestServedGateway$")
	command.Env = append(os.Environ(), servedEnv+"=hash-password")
	command.Stdin, command.Stderr = p.tty, p.tty
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	p.answer("Password: ", "sec")
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var ended *exec.ExitError
	if err := command.Wait(); !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
		t.Errorf("it ended with %v", err)
	}
	if !p.echoes() {
		t.Error("the terminal shows nothing any more")
	}
}

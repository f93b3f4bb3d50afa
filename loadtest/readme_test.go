package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/loadtest/hosts"
)

// inFolder makes a folder that looks like a checkout after make build, to whoever
// types what README says.
func inFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(gatewayBinary, filepath.Join(dir, "bin", "sluice")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// ownHosts makes two hosts on which all of the ports that documents name are free.
func ownHosts(t *testing.T) (server, client *hosts.Host) {
	t.Helper()
	needs(t, "ip", "sysctl")
	testkit.Root(t, "only root makes network namespaces")
	server, client, err := hosts.Pair(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := hosts.Remove(server, client); err != nil {
			t.Error(err)
		}
	})
	return server, client
}

func ownHost(t *testing.T) *hosts.Host {
	t.Helper()
	host, _ := ownHosts(t)
	return host
}

// shell runs a line on the host, as a person would type it there.
func shell(t *testing.T, host *hosts.Host, dir, line string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	command := host.Command(ctx, "sh", "-c", line)
	command.Dir = dir
	command.Env = withoutSettings()
	out, err := command.CombinedOutput()
	return string(out), err
}

func withoutSettings() (env []string) {
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "SLUICE_") {
			env = append(env, variable)
		}
	}
	return env
}

// typed starts a command on the host and ends it with the test.
func typed(t *testing.T, host *hosts.Host, dir, line string) {
	t.Helper()
	command := host.Command(context.WithoutCancel(t.Context()), "sh", "-c", "exec "+line)
	command.Dir, command.Env = dir, withoutSettings()
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		if err := command.Wait(); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", line, said.String())
		}
	})
	testkit.Eventually(t, line+" is ready", func() bool {
		_, err := shell(t, host, dir, "curl -sSf http://127.0.0.1:8025/readyz")
		return err == nil
	})
}

// fenced returns the fenced blocks of a section, without their indentation.
func fenced(t *testing.T, document, section string) []string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+section+"\n")
	if !found {
		t.Fatalf("%s has no section %s", document, section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	var blocks []string
	for _, block := range regexp.MustCompile("(?s)( *)```[a-z]*\n(.*?)```").FindAllStringSubmatch(rest, -1) {
		blocks = append(blocks, strings.ReplaceAll("\n"+block[2], "\n"+block[1], "\n")[1:])
	}
	return blocks
}

// TestTour types what README's tour says, in its order, on the ports that it names.
func TestTour(t *testing.T) {
	needs(t, "curl", "kcat", "smtp-source", "ip")
	commands := fenced(t, "../README.md", "Five minutes")
	if len(commands) != 7 {
		t.Fatalf("the tour has %d commands", len(commands))
	}
	host, dir := ownHost(t), inFolder(t)
	typed(t, host, dir, "bin/sluice")
	id := ""
	for i, want := range []string{
		"< 250 2.0.0 Ok ", // the dialog
		`"mail_from":"you@example.org"`,
		"\r\n\r\nHello, Sluice.\r\n",
		"someone@example.net",
		"",
		`sluice_messages_total{result="accepted"} 10001`,
	} {
		out, err := shell(t, host, dir, strings.ReplaceAll(commands[i], "<id>", id))
		if strings.Contains(commands[i], " find ") {
			testkit.Eventually(t, "it is found", func() bool {
				out, err = shell(t, host, dir, commands[i])
				return err == nil
			})
			if page, err := shell(t, host, dir, "curl -sSf 'http://127.0.0.1:8025/?subject=hello'"); err != nil || !strings.Contains(page, id) {
				t.Errorf("the page: %v, %.2000s", err, page)
			}
		}
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v: lacks %q\n%.2000s", commands[i], err, want, out)
		}
		if _, rest, found := strings.Cut(out, want); i == 0 && found {
			id = strings.Fields(rest)[0]
		}
	}
	// The last one is the drill's own test; here it must only be what there is.
	if got := strings.TrimSpace(commands[6]); got != "go run ./loadtest drill --rounds=2" {
		t.Errorf("the tour ends with %q", got)
	}
}

// The configuration of a fleet in README is right as it stands, together with the
// one before it.
func TestReadmeConfiguration(t *testing.T) {
	needs(t, "unshare")
	testkit.Root(t, "only root can put the secret where README has it")
	blocks := fenced(t, "../README.md", "Configuration")
	if len(blocks) != 2 {
		t.Fatalf("%d blocks", len(blocks))
	}
	dir := inFolder(t)
	if err := os.WriteFile(filepath.Join(dir, "sluice.yaml"), []byte(blocks[0]+blocks[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	check := exec.CommandContext(t.Context(), "unshare", "-m", "sh", "-c",
		"mount -t tmpfs none /run && mkdir /run/secrets && echo hush-hush-hush > /run/secrets/s3 && "+
			"bin/sluice config check --config sluice.yaml")
	check.Dir, check.Env = dir, withoutSettings()
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestStackUp runs the command that `stack up` prints, as it stands, and sends a mail
// through the MinIO and the Kafka that it has started.
func TestStackUp(t *testing.T) {
	needs(t, "curl", "ip")
	host, dir := ownHost(t), inFolder(t)
	program := filepath.Join(dir, "loadtest")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// A part that is not installed is an error, and nothing is said to be there.
	without := exec.CommandContext(t.Context(), program, "stack", "up")
	without.Dir, without.Env = t.TempDir(), append(withoutSettings(), "XDG_CACHE_HOME="+dir)
	if out, err := without.CombinedOutput(); err == nil || !strings.Contains(string(out), "make tools") ||
		strings.Contains(string(out), "are there") {
		t.Errorf("without MinIO: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		down := host.Command(context.Background(), program, "stack", "down")
		down.Dir = dir
		if out, err := down.CombinedOutput(); err != nil {
			t.Errorf("stack down: %v\n%s", err, out)
		}
	})
	said, err := shell(t, host, dir, "./loadtest stack up")
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	command := regexp.MustCompile(`(?m)^  (bin/sluice .*)$`).FindStringSubmatch(said)
	if command == nil {
		t.Fatalf("no command in\n%s", said)
	}
	typed(t, host, dir, command[1])
	mail := commandOf(t, "Send a mail")
	if out, err := shell(t, host, dir, mail); err != nil || !strings.Contains(out, "< 250 2.0.0 Ok ") {
		t.Errorf("%v\n%s", err, out)
	}
}

// commandOf returns the tour's command for something.
func commandOf(t *testing.T, what string) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "**"+what+"**")
	_, rest, fence := strings.Cut(rest, "```\n")
	command, _, closed := strings.Cut(rest, "```")
	if !found || !fence || !closed {
		t.Fatalf("README does not say how to: %s", what)
	}
	return command
}

package server

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/internal/testkit"
)

// TestReloadOfBrokenFiles puts what is no list, or no configuration, in the place of one.
// The one before stays, and a reload is answered at once.
func TestReloadOfBrokenFiles(t *testing.T) {
	captureLog(t)
	c := launchConfigured(t, "SLUICE_ACCEPT_DOMAINS=example.net")
	dir := filepath.Dir(c.list)
	other := filepath.Join(dir, "other")
	before := map[string]string{"ann@example.net": "250 2.1.5 ", "bob@example.net": "550 5.1.1 "}
	after := map[string]string{"ann@example.net": "550 5.1.1 ", "bob@example.net": "250 2.1.5 "}
	pipe := func(name string) error { return syscall.Mkfifo(name, 0o600) }
	link := func(to string) func(string) error { return func(name string) error { return os.Symlink(to, name) } }
	write := func(text string) func(string) error {
		return func(name string) error { return os.WriteFile(name, []byte(text), 0o600) }
	}
	for _, bad := range []struct {
		what string
		file *string
		make func(name string) error
		want string
	}{
		{"nothing", &c.list, func(string) error { return nil }, "no such file"},
		{"a folder", &c.list, func(name string) error { return os.Mkdir(name, 0o700) }, "not a regular file"},
		{"a pipe", &c.list, pipe, "not a regular file"},
		{"a link to itself", &c.list, link("recipients"), "too many levels"},
		{"a link to nothing", &c.list, link("nowhere"), "no such file"},
		{"a device", &c.list, link("/dev/zero"), "not a regular file"},
		{"half a line", &c.list, write("bob@example.net\nann@"), "line 2"},
		{"a huge list", &c.list, func(name string) error {
			if err := write("bob@example.net\n")(name); err != nil {
				return err
			}
			return os.Truncate(name, 2<<30)
		}, "larger than 1GiB"},
		{"nothing", &c.file, func(string) error { return nil }, "no such file"},
		{"a folder", &c.file, func(name string) error { return os.Mkdir(name, 0o700) }, "is a directory"},
		{"a pipe", &c.file, pipe, "sets no key"},
		{"an empty file", &c.file, write(""), "sets no key"},
		{"a comment", &c.file, write("# limits: {recipients: 100}\n"), "sets no key"},
		{"a device", &c.file, link("/dev/zero"), "longer than 1MiB"},
	} {
		if err := os.Rename(*bad.file, other); err != nil {
			t.Fatal(err)
		}
		if err := bad.make(*bad.file); err != nil {
			t.Fatal(err)
		}
		if status, text := c.reload(); status != http.StatusUnprocessableEntity || !strings.Contains(text, bad.want) {
			t.Errorf("%s in place of %s: %d %s, want %s", bad.what, filepath.Base(*bad.file), status, text, bad.want)
		}
		c.takes(bad.what, before)
		if err := os.RemoveAll(*bad.file); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(other, *bad.file); err != nil {
			t.Fatal(err)
		}
	}
	next := filepath.Join(dir, "next")
	c.write(next, "bob@example.net\n")
	if err := os.Rename(next, c.list); err != nil {
		t.Fatal(err)
	}
	if status, text := c.reload(); status != http.StatusOK {
		t.Errorf("a list renamed into its place: %d %s", status, text)
	}
	c.takes("after a rename", after)
	c.write(other, "ann@example.net\n")
	if err := os.Symlink(other, next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, c.list); err != nil {
		t.Fatal(err)
	}
	if status, text := c.reload(); status != http.StatusOK {
		t.Errorf("a link to another list: %d %s", status, text)
	}
	c.takes("after a link", before)
	c.end(t)
}

// TestManyReloads asks for forty reloads at once while the list is replaced: all are
// answered, by few reloads, and what was the newest before is the newest after.
func TestManyReloads(t *testing.T) {
	captureLog(t)
	c := launchConfigured(t)
	const last = "last@example.net"
	var all sync.WaitGroup
	for i := range 40 { // the admin server takes 64 connections
		all.Go(func() {
			next := fmt.Sprint(c.list, ".", i)
			c.write(next, fmt.Sprintf("user%d@example.net\n", i))
			if err := os.Rename(next, c.list); err != nil {
				t.Error(err)
			}
			if status, text := c.reload(); status != http.StatusOK {
				t.Errorf("%d %s", status, text)
			}
		})
	}
	all.Wait()
	c.write(c.list+".last", last+"\n")
	if err := os.Rename(c.list+".last", c.list); err != nil {
		t.Fatal(err)
	}
	if status, text := c.reload(); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
	c.takes("after all", map[string]string{last: "250 2.1.5 ", "user1@example.net": "550 5.1.1 "})
	c.end(t)
}

// TestGather checks that one reload is for all who wait for one.
func TestGather(t *testing.T) {
	s := &Server{reloads: make(chan reloadRequest)}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if err := s.requestReload(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	var answers []reloadRequest
	testkit.Eventually(t, "all are gathered", func() bool {
		answers = s.gather(answers)
		return len(answers) == 10
	})
	for _, answer := range answers {
		answer <- nil
	}
	all.Wait()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.requestReload(gone); err == nil {
		t.Error("who is gone is answered")
	}
}

// TestReloadWhileDraining reloads a gateway that shuts down: open sessions have what is
// new at their next EHLO.
func TestReloadWhileDraining(t *testing.T) {
	captureLog(t)
	c := launchConfigured(t)
	s := c.dial(t)
	s.Expect("220 ")
	fmt.Fprint(s.Conn, "EHLO client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<ann@example.net>\r\n")
	s.Expect("250-", "250-", "250-", "250-", "250 ", "250 ", "250 ")
	terminate(t)
	testkit.Eventually(t, "it drains", func() bool { return c.draining.Load() })
	c.write(c.list, "bob@example.net\n")
	if status, text := c.reload(); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
	fmt.Fprint(s.Conn, "RCPT TO:<ann@example.net>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n")
	s.Expect("250 ", "550 5.1.1 ", "354 ")
	fmt.Fprint(s.Conn, "x\r\n.\r\n")
	s.Expect("250 ", "421 ")
	c.end(t)
}

// TestClosedTerminal checks when SIGHUP means that the terminal was closed.
func TestClosedTerminal(t *testing.T) {
	gone := false
	h := &Hangups{terminal: true, gone: func() bool { return gone }}
	at := h.seen
	for _, step := range []struct {
		after  int // seconds
		gone   bool
		closed bool
	}{
		{0, false, false}, {100, false, false}, {101, true, true}, {109, true, true},
		{111, true, false}, {1000, true, false},
	} {
		gone = step.gone
		if closed := h.closed(at.Add(time.Duration(step.after) * time.Second)); closed != step.closed {
			t.Errorf("after %d s, gone %v: closed %v", step.after, step.gone, closed)
		}
	}
	without := &Hangups{gone: func() bool { return true }}
	if without.closed(at) {
		t.Error("a gateway without a terminal lost it")
	}
}

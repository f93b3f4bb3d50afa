package resolver

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/testkit"
)

// logged is what a logger wrote, without times.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// take returns what was written since the last time.
func (l *logged) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// The servers of resolv.conf are read as the C library reads them, and there is always one.
func TestSystemFile(t *testing.T) {
	dir := t.TempDir()
	for content, want := range map[string]string{
		"nameserver 192.0.2.1\nnameserver 2001:db8::1\n":                "192.0.2.1:53 [2001:db8::1]:53",
		"# nameserver 192.0.2.9\nsearch x\n\tnameserver\t192.0.2.1 # x": "192.0.2.1:53",
		"nameserver fe80::1%eth0\n":                                     "[fe80::1%eth0]:53",
		"nameserver dns.test\nnameserver\nnameserver 192.0.2.2\n":       "192.0.2.2:53",
		strings.Repeat("nameserver 192.0.2.1\n", 5):                     "192.0.2.1:53 192.0.2.1:53 192.0.2.1:53",
		"":                   "127.0.0.1:53",
		"search test\n":      "127.0.0.1:53",
		"\x00\xff\n\n\n#;\n": "127.0.0.1:53",
		strings.Repeat("#", 100<<10) + "\nnameserver 192.0.2.1": "127.0.0.1:53",
	} {
		file := filepath.Join(dir, "resolv.conf")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s := &servers{}
		err := s.follow(file)
		if got := addresses(s.current.Load()); err != nil || got != want {
			t.Errorf("%.60q: %s, %v; want %s", content, got, err, want)
		}
	}
	s := &servers{}
	if err := s.follow(filepath.Join(dir, "none")); err != nil || addresses(s.current.Load()) != "127.0.0.1:53" {
		t.Errorf("no file: %v", err)
	}
	if err := s.follow(dir); err == nil {
		t.Error("a folder was read")
	}
}

func addresses(l *serverList) string {
	var all []string
	for _, s := range l.all {
		all = append(all, s.address)
	}
	return strings.Join(all, " ")
}

// A file that changes is followed, and one that names nobody changes nothing: it may be
// about to be written. Each is logged once.
func TestSystemFileChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(content string) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("nameserver 192.0.2.1\n")
	log := &logged{}
	s, now := &servers{logger: log.logger()}, time.Unix(1e9, 0)
	if err := s.follow(file); err != nil {
		t.Fatal(err)
	}
	check := func(what, want, wantLog string) {
		t.Helper()
		if got := addresses(s.list(now)); got != want {
			t.Errorf("%s: %s", what, got)
		}
		if got := log.take(); (wantLog == "") != (got == "") || !strings.Contains(got, wantLog) || strings.Count(got, "\n") > 1 {
			t.Errorf("%s: logged %q", what, got)
		}
	}
	check("at first", "192.0.2.1:53", "")
	s.current.Load().preferred.Store(0)
	write("nameserver 192.0.2.1\nnameserver 192.0.2.2\n")
	check("at once", "192.0.2.1:53", "")
	now = now.Add(lookAgain)
	check("later", "192.0.2.1:53 192.0.2.2:53", "other DNS servers are asked")
	for _, content := range []string{"", "search test\n"} {
		write(content)
		now = now.Add(lookAgain)
		check("without servers", "192.0.2.1:53 192.0.2.2:53", map[bool]string{true: "no nameserver in it"}[content == ""])
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	now = now.Add(lookAgain)
	check("removed", "192.0.2.1:53 192.0.2.2:53", "no such file")
	now = now.Add(lookAgain)
	check("still", "192.0.2.1:53 192.0.2.2:53", "")
	write("nameserver 192.0.2.3\n")
	now = now.Add(lookAgain)
	check("again", "192.0.2.3:53", "other DNS servers are asked")
}

// There is always a server, however many ask while the file changes.
func TestSystemFileWhileManyAsk(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	s := &servers{logger: slog.New(slog.DiscardHandler)}
	if err := s.follow(file); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 200 {
				if i == 0 {
					_ = os.WriteFile(file, []byte("nameserver 192.0.2."+string(rune('1'+n%9))+"\n"), 0o600)
				}
				if len(s.list(time.Unix(1e9+int64(n)*10, 0)).all) != 1 {
					t.Error("no server")
				}
			}
		})
	}
	all.Wait()
}

// Whether a server answers is logged when it changes, however many questions there are; one
// that has answered lately may be lost a question.
func TestSilenceIsLoggedOnce(t *testing.T) {
	log := &logged{}
	logger := log.logger()
	s, now := &server{address: "192.0.2.1:53"}, time.Unix(1e9, 0)
	lost := errors.New("lost")
	for range 100 {
		s.hasNot(now, lost, logger)
	}
	const silent = `level=WARN msg="a DNS server does not answer" server=192.0.2.1:53 err=lost` + "\n"
	if got := log.take(); got != silent {
		t.Errorf("at the start: %q", got)
	}
	for range 100 {
		s.hasAnswered(now, logger)
	}
	if got := log.take(); got != `level=INFO msg="a DNS server answers" server=192.0.2.1:53`+"\n" {
		t.Errorf("%q", got)
	}
	s.hasNot(now.Add(silentAfter-1), lost, logger)
	if got := log.take(); got != "" {
		t.Errorf("too early: %q", got)
	}
	s.hasNot(now.Add(silentAfter), lost, logger)
	if got := log.take(); got != silent {
		t.Errorf("%q", got)
	}
}

// That a server answers with failures alone is logged once, after a while, and when it is
// over.
func TestFailuresAreLoggedOnce(t *testing.T) {
	log := &logged{}
	logger := log.logger()
	s, now := &server{address: "192.0.2.1:53"}, time.Unix(1e9, 0)
	for second := range 12 {
		s.hasServed(now.Add(time.Duration(second)*time.Second), "SERVFAIL", logger)
		if got := log.take(); (got != "") != (second == 10) || got != "" &&
			got != `level=WARN msg="a DNS server gives no answers of use" server=192.0.2.1:53 err="the resolver answered SERVFAIL"`+"\n" {
			t.Errorf("after %d s: %q", second, got)
		}
	}
	for range 2 {
		s.hasServed(now.Add(12*time.Second), "", logger)
	}
	if got := log.take(); got != `level=INFO msg="a DNS server gives answers of use again" server=192.0.2.1:53`+"\n" {
		t.Errorf("%q", got)
	}
	s.hasServed(now.Add(21*time.Second), "REFUSED", logger)
	if got := log.take(); got != "" {
		t.Errorf("too early: %q", got)
	}
}

// At the start each server is asked, and what is wrong with one is a warning.
func TestTry(t *testing.T) {
	log := &logged{}
	r, err := New(Options{Servers: []string{"127.0.0.1:1"}, Timeout: time.Second, Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	r.Try()
	if got := log.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "a DNS server does not answer") {
		t.Errorf("logged %q", got)
	}
	r.Close()
	r.Try()
	if got := log.take(); got != "" {
		t.Errorf("after Close: %q", got)
	}
}

// Questions wait for a socket, no longer than for an answer.
func TestSockets(t *testing.T) {
	r, err := New(Options{Servers: []string{"127.0.0.1:1"}, Sockets: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.sockets <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := r.askOne(ctx, r.servers.list(r.now()).all[0], newQuery("d.test.", 16)); !errors.Is(err, ErrBusy) {
		t.Errorf("%v", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := r.Lookups(1).TXT(t.Context(), "d.test")
		ended <- err
	}()
	testkit.Eventually(t, "a question", func() bool { return r.InFlight() == 1 })
	<-r.sockets
	if err := <-ended; err == nil || errors.Is(err, ErrBusy) {
		t.Errorf("%v", err)
	}
}

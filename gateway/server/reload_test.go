package server

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sluice/gateway/config"
	"sluice/internal/testkit"
)

// configured is a gateway with a configuration file and a list of recipients.
type configured struct {
	*running
	t          *testing.T
	file, list string
	base       string // what does not change
}

func launchConfigured(t *testing.T, env ...string) *configured {
	t.Helper()
	dir := t.TempDir()
	return launchListening(t, dir, `[{address: "127.0.0.1:0"}]`, func(c *configured) string {
		c.write(c.list, "ann@example.net\n@example.com\n")
		return "accept: {domains: [example.net], recipients_file: " + c.list + "}\n"
	}, env...)
}

// launchListening launches a gateway whose files are in a folder. prepare returns what its
// configuration has beside the listeners.
func launchListening(t *testing.T, dir, listeners string, prepare func(*configured) string, env ...string) *configured {
	t.Helper()
	c := &configured{t: t, file: filepath.Join(dir, "sluice.yaml"), list: filepath.Join(dir, "recipients")}
	c.base = fmt.Sprintf("hostname: mx1.example.net\ndata_dir: %q\nadmin: {address: \"127.0.0.1:0\"}\n"+
		"listeners: %s\nevents: {embedded: {address: \"127.0.0.1:0\"}}\n", filepath.Join(dir, "data"), listeners)
	c.write(c.file, c.with(prepare(c)))
	from := config.Sources{File: c.file, Env: env}
	loaded, err := config.Load(from, config.ForServe)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Options{Config: loaded, Sources: from, Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	c.running = run(t, p)
	return c
}

func (c *configured) with(more string) string { return c.base + more }

func (c *configured) write(file, text string) {
	c.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// reload asks the admin server for a reload and returns its answer.
func (c *configured) reload() (status int, text string) {
	c.t.Helper()
	answer, err := adminClient.Post("http://"+c.admin.Addr()+"/-/reload", "", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// takes asserts how a new session answers some recipients.
func (c *configured) takes(when string, answers map[string]string) {
	c.t.Helper()
	s := c.dial(c.t)
	s.Expect("220 ")
	fmt.Fprint(s.Conn, "HELO client.example\r\nMAIL FROM:<a@example.org>\r\n")
	s.Expect("250 ", "250 ")
	for to, answer := range answers {
		fmt.Fprintf(s.Conn, "RCPT TO:<%s>\r\n", to)
		c.t.Log(when, to)
		s.Expect(answer)
	}
	fmt.Fprint(s.Conn, "QUIT\r\n")
	s.Expect("221 ")
}

// TestReload changes the configuration of a running gateway: by a request and by SIGHUP,
// as a whole or not at all.
func TestReload(t *testing.T) {
	said := captureLog(t)
	c := launchConfigured(t)
	const taken, unknown, foreign = "250 2.1.5 ", "550 5.1.1 ", "550 5.7.1 "
	first := map[string]string{"ann@example.net": taken, "bob@example.net": unknown, "x@example.com": foreign}
	c.takes("at the start", first)
	hash := c.current.Load().Hash()
	c.expectSample(t, `sluice_config_info{hash="`+hash+`"} 1`)

	lines := 0
	for _, bad := range []struct{ name, file, list, want string }{
		{"an invalid key", c.with("accept: {domains: [example.com]}\nlimits: {recipients: 0}\n"), "", "limits.recipients: got 0"},
		{"an empty file", "", "", "accept.domains"},
		{"not YAML", "accept: {", "", "sluice.yaml"},
		{"another listener", strings.ReplaceAll(c.with("accept: {domains: [example.com]}\n"), "listeners: [{address: \"127.0.0.1:0\"}]", "listeners: [{address: \"127.0.0.1:1\"}]"), "", "only a restart changes listeners"},
		{"an empty list", c.with("accept: {domains: [example.net], recipients_file: " + c.list + "}\n"), "\n", "no address in it"},
		{"a cut list", c.with("accept: {domains: [example.net], recipients_file: " + c.list + "}\n"), "ann@example.net\nbo", "line 2"},
		{"a list of other domains", c.with("accept: {domains: [example.net], recipients_file: " + c.list + "}\n"), "ann@example.org\n", "no address of accept.domains in it"},
	} {
		c.write(c.file, bad.file)
		if bad.list != "" {
			c.write(c.list, bad.list)
		}
		if status, text := c.reload(); status != http.StatusUnprocessableEntity || !strings.Contains(text, bad.want) {
			t.Errorf("%s: %d %s, want %s", bad.name, status, text, bad.want)
		}
		testkit.Eventually(t, bad.name+" is said", func() bool {
			now := strings.Count(said(), "configuration not reloaded")
			defer func() { lines = now }()
			return now > lines
		})
		c.takes(bad.name, first)
	}
	c.expectSample(t, `sluice_config_reloads_total{result="invalid"} 6`)
	c.expectSample(t, `sluice_config_reloads_total{result="needs_restart"} 1`)
	c.expectSample(t, `sluice_config_info{hash="`+hash+`"} 1`)

	c.write(c.list, "ann@example.net\nbob@example.net\n@example.com\n")
	c.write(c.file, c.with("accept: {domains: [example.net, example.com], recipients_file: "+c.list+"}\n"))
	if status, text := c.reload(); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	c.takes("after the reload", map[string]string{"ann@example.net": taken, "bob@example.net": taken, "x@example.com": taken})
	if after := c.current.Load().Hash(); after == hash {
		t.Error("the hash is the same")
	}

	c.write(c.file, c.with("accept: {any: true, domains: [example.net]}\n"))
	if status, text := c.reload(); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	testkit.Eventually(t, "a risky setting is warned of", func() bool {
		return strings.Contains(said(), "accept.domains has no effect")
	})
	c.write(c.file, c.with("accept: {domains: [example.net], recipients_file: "+c.list+"}\n"))
	if status, text := c.reload(); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	list := c.current.Load().Recipients()
	if status, text := c.reload(); status != http.StatusOK || c.current.Load().Recipients() != list {
		t.Errorf("a reload does not share a list that has not changed: %d %s", status, text)
	}

	c.write(c.file, c.with("accept: {domains: [example.org]}\n"))
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "SIGHUP has reloaded", func() bool { return c.current.Load().Accept.RecipientsFile == "" })
	c.takes("after SIGHUP", map[string]string{"ann@example.net": foreign, "any@example.org": taken})
	c.expectSample(t, `sluice_config_reloads_total{result="ok"} 5`)
	c.end(t)
}

// TestReloadOfMessageLines: which messages have a line changes with a reload, whatever the
// level of the log is.
func TestReloadOfMessageLines(t *testing.T) {
	said := captureLog(t)
	c := launchConfigured(t)
	deliver := func(from string) {
		s := c.dial(t)
		fmt.Fprintf(s.Conn, "HELO x\r\nMAIL FROM:<%s>\r\nRCPT TO:<ann@example.net>\r\nDATA\r\n", from)
		s.Expect("220", "250", "250", "250", "354")
		fmt.Fprint(s.Conn, "text\r\n.\r\nQUIT\r\n")
		s.Expect("250", "221")
	}
	line := func(from string) string { return " from=" + from + " to=ann@example.net recipients=1 " }
	deliver("first@example.org")
	testkit.Eventually(t, "a line", func() bool { return strings.Contains(said(), line("first@example.org")) })
	for _, next := range []struct{ messages, from string }{{"off", "second@example.org"}, {"all", "third@example.org"}} {
		c.write(c.file, c.with("accept: {domains: [example.net]}\nlog: {level: error, messages: "+next.messages+"}\n"))
		if status, text := c.reload(); status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		deliver(next.from)
	}
	testkit.Eventually(t, "a line", func() bool { return strings.Contains(said(), line("third@example.org")) })
	if strings.Contains(said(), "second@example.org") {
		t.Error("a message has a line that should have none")
	}
	c.end(t)
}

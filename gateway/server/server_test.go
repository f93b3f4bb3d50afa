package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/gateway/config"
	"sluice/internal/testkit"
)

// running is a Server on free ports with the embedded defaults.
type running struct {
	*Server
	cancel context.CancelFunc
	ended  chan error // receives once, and is closed
}

func launch(t *testing.T, change func(*config.Config)) *running {
	t.Helper()
	c := config.DefaultConfig()
	c.Hostname = "mx1.example.net"
	c.DataDir = t.TempDir()
	c.Listeners = []config.ListenerConfig{{Address: "127.0.0.1:0"}}
	c.Admin.Address = "127.0.0.1:0"
	c.Events.Embedded.Address = "127.0.0.1:0"
	c.Index.Store = config.IndexOff
	c.Drain.Deadline = 20 * time.Second
	if change != nil {
		change(&c)
	}
	p, err := New(Options{Config: c, Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return run(t, p)
}

// run runs a gateway until the end of the test at the latest. It has ended before its
// folder is removed and another test begins.
func run(t *testing.T, p *Server) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Server: p, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		defer close(r.ended)
		r.ended <- errors.Join(p.Run(ctx), p.Close())
	}()
	t.Cleanup(func() {
		cancel()
		for range r.ended {
		}
	})
	testkit.Eventually(t, "the program is ready", func() bool { ready, _ := p.readiness(); return ready })
	return r
}

// dial connects to the gateway.
func (r *running) dial(t *testing.T) *testkit.SMTP {
	t.Helper()
	return testkit.DialSMTP(t, r.reactor.Addresses()[0])
}

func terminate(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

func (r *running) status(t *testing.T, page string) int {
	t.Helper()
	code, _ := r.page(t, page)
	return code
}

// page returns a page of the admin server.
func (r *running) page(t *testing.T, page string) (code int, text string) {
	t.Helper()
	return pageOf(t, "http://"+r.admin.Addr()+page)
}

// adminClient keeps no connection, which a server might be about to close when it is used again.
var adminClient = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}

func pageOf(t *testing.T, url string) (code int, text string) {
	t.Helper()
	answer, err := adminClient.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// end ends the gateway in order.
func (r *running) end(t *testing.T) {
	t.Helper()
	r.cancel()
	if err := <-r.ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// captureLog returns a function that returns what gateways launched from now on have
// logged.
func captureLog(t *testing.T) func() string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stderr
	os.Stderr = file
	t.Cleanup(func() {
		os.Stderr = before
		_ = file.Close()
	})
	return func() string {
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// expectSample expects a line of /metrics. What a client has seen may be counted a moment
// later.
func (r *running) expectSample(t *testing.T, sample string) {
	t.Helper()
	testkit.Eventually(t, sample, func() bool { return strings.Contains(r.metricsPage(t), "\n"+sample+"\n") })
}

func (r *running) metricsPage(t *testing.T) string {
	t.Helper()
	_, page := r.page(t, "/metrics")
	return page
}

// TestDrainFinishesTransactions checks that after SIGTERM the open transaction finishes,
// new sessions are refused, the gateway is not ready, and it ends without an error.
func TestDrainFinishesTransactions(t *testing.T) {
	r := launch(t, nil)
	busy, idle := r.dial(t), r.dial(t)
	busy.Begin()
	idle.Expect("220")
	if got := r.status(t, "/readyz"); got != http.StatusOK {
		t.Errorf("/readyz before: %d", got)
	}
	terminate(t)
	idle.Expect("421 4.3.2")
	if got := r.status(t, "/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz while draining: %d", got)
	}
	if got := r.status(t, "/livez"); got != http.StatusOK {
		t.Errorf("/livez while draining: %d", got)
	}
	r.dial(t).Expect("421 ")
	_, _ = io.WriteString(busy.Conn, "text\r\n.\r\n")
	busy.Expect("250 2.0.0 Ok ")
	busy.Expect("421 4.3.2")
	if err := <-r.ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// TestAdminServerFails checks that the open transaction finishes if the admin server
// fails, and that the gateway then ends with the reason.
func TestAdminServerFails(t *testing.T) {
	log := captureLog(t)
	r := launch(t, nil)
	busy := r.dial(t)
	busy.Begin()
	if err := r.adminListener.Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it drains", func() bool { return r.draining.Load() })
	_, _ = io.WriteString(busy.Conn, "text\r\n.\r\n")
	busy.Expect("250 2.0.0 Ok ")
	busy.Expect("421 4.3.2")
	if err := <-r.ended; !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), "admin server: ") {
		t.Errorf("ended with %v", err)
	}
	if !strings.Contains(log(), "level=ERROR") || !strings.Contains(log(), `err="admin server: accept tcp `) {
		t.Errorf("logged %s", log())
	}
}

// TestDrainGrace checks that during the grace the gateway reports not ready, so that load
// balancers leave, and still greets.
func TestDrainGrace(t *testing.T) {
	r := launch(t, func(c *config.Config) { c.Drain.Grace = time.Minute })
	idle := r.dial(t)
	idle.Expect("220")
	terminate(t)
	testkit.Eventually(t, "it drains", func() bool { ready, _ := r.readiness(); return !ready })
	late := r.dial(t)
	late.Begin()
	_, _ = io.WriteString(late.Conn, "text\r\n.\r\nQUIT\r\n")
	late.Expect("250 2.0.0 Ok ")
	late.Expect("221")
	testkit.Eventually(t, "the late one has ended", func() bool { return r.shared.SessionsOpen() == 1 })
	terminate(t) // do not wait for the idle session
	if err := <-r.ended; err == nil || !strings.Contains(err.Error(), "1 sessions were cut") {
		t.Errorf("ended with %v", err)
	}
}

// TestLostMessageSaysHow checks that the log line of a lost message says how its client's
// connection ended.
func TestLostMessageSaysHow(t *testing.T) {
	log := captureLog(t)
	r := launch(t, func(c *config.Config) { c.Drain.Deadline = 300 * time.Millisecond })
	closed, reset, cut := r.dial(t), r.dial(t), r.dial(t)
	for _, c := range []*testkit.SMTP{closed, reset, cut} {
		c.Begin()
	}
	_, _ = io.WriteString(closed.Conn, "text\r\n")
	_ = closed.Conn.Close()
	_ = reset.Conn.(*net.TCPConn).SetLinger(0)
	_ = reset.Conn.Close()
	testkit.Eventually(t, "two are gone", func() bool { return r.shared.SessionsOpen() == 1 })
	r.cancel()
	<-r.ended
	for _, how := range []string{"closed", "reset", "cut"} {
		line := `msg="message lost: its session ended before the answer" cause=` + how + " stage=receiving"
		if strings.Count(log(), line) != 1 {
			t.Errorf("not one line with cause=%s in\n%s", how, log())
		}
	}
}

func TestDrainDeadline(t *testing.T) {
	r := launch(t, func(c *config.Config) { c.Drain.Deadline = 300 * time.Millisecond })
	r.dial(t).Begin()
	terminate(t)
	if err := <-r.ended; err == nil || !strings.Contains(err.Error(), "1 sessions were cut") {
		t.Errorf("ended with %v", err)
	}
}

// TestStartFails checks that a gateway that cannot start names the reason and leaves
// nothing open.
func TestStartFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address := taken.Addr().String()
	for what, change := range map[string]func(*config.Config){
		"admin":    func(c *config.Config) { c.Admin.Address = address },
		"events":   func(c *config.Config) { c.Events.Embedded.Address = address },
		"data dir": func(c *config.Config) { c.DataDir = "/proc/sluice" },
	} {
		c := config.DefaultConfig()
		c.DataDir = t.TempDir()
		c.Listeners = []config.ListenerConfig{{Address: "127.0.0.1:0"}}
		c.Admin.Address, c.Events.Embedded.Address = "127.0.0.1:0", "127.0.0.1:0"
		change(&c)
		for range 2 { // the second time shows that the first left nothing behind
			p, err := New(Options{Config: c, Out: io.Discard})
			if err == nil {
				t.Errorf("%s: started", what)
				_ = p.Close()
				break
			}
			if want := address; what != "data dir" && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not name %s", what, err, want)
			}
		}
	}
}

// TestListenerInUse checks that Run fails if the listener's address is in use.
func TestListenerInUse(t *testing.T) {
	r := launch(t, nil)
	c := config.DefaultConfig()
	c.DataDir = t.TempDir()
	c.Listeners = []config.ListenerConfig{{Address: r.reactor.Addresses()[0]}}
	c.Admin.Address, c.Events.Embedded.Address = "127.0.0.1:0", "127.0.0.1:0"
	p, err := New(Options{Config: c, Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(p.Run(t.Context()), p.Close())
	if err == nil || !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), c.Listeners[0].Address) {
		t.Errorf("got %v", err)
	}
	r.cancel()
	if err := <-r.ended; err != nil {
		t.Errorf("the first one ended with %v", err)
	}
}

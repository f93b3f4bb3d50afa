package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/internal/testkit"
	"sluice/loadtest/hosts"
	"sluice/loadtest/process"
	"sluice/pipeline"
)

// fleetHost runs the gateways that deploy/haproxy.cfg names.
type fleetHost struct {
	*hosts.Host
	t        *testing.T
	dir      string
	listener string // the configuration in docs/balancer.md
}

// member is a gateway that deploy/haproxy.cfg names.
type member struct{ name, address, events string }

var members = []member{
	{"mx1", "192.0.2.11", "127.0.0.1:9094"},
	{"mx2", "192.0.2.12", "127.0.0.1:9095"},
}

// data is where a gateway keeps its mail.
func (h *fleetHost) data(m member) *process.Sluice {
	return &process.Sluice{Kind: process.Embedded, Dir: filepath.Join(h.dir, m.name), Events: m.events}
}

// gateway starts a gateway. All listen on one host, so each has its own address before the
// port that the document names.
func (h *fleetHost) gateway(m member) *exec.Cmd {
	h.t.Helper()
	file := writeFile(h.t, "sluice.yaml", strings.Replace(h.listener, `":2525"`, `"`+m.address+`:2525"`, 1))
	p := h.Command(context.WithoutCancel(h.t.Context()), gatewayBinary, "serve", "--config", file)
	p.Env = append(withoutSettings(), "SLUICE_DATA_DIR="+h.data(m).DataDir(), "SLUICE_HOSTNAME=mx1.example.net",
		"SLUICE_ACCEPT_DOMAINS=example.net", "SLUICE_ADMIN_ADDRESS="+m.address+":8025",
		"SLUICE_EVENTS_EMBEDDED_ADDRESS="+m.events, "SLUICE_DRAIN_GRACE=5s")
	said := &testkit.Buffer{}
	p.Stdout, p.Stderr = said, said
	if err := p.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if p.ProcessState == nil {
			h.end(p)
		}
		if h.t.Failed() {
			h.t.Logf("%s said:\n%.2000s", m.name, said)
		}
	})
	testkit.Eventually(h.t, m.name+" is ready", func() bool {
		return h.Command(h.t.Context(), "curl", "-sSf", "http://"+m.address+":8025/readyz").Run() == nil
	})
	return p
}

// end ends a gateway as a rolling restart does.
func (h *fleetHost) end(p *exec.Cmd) {
	h.t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		h.t.Error(err)
	}
	if err := p.Wait(); err != nil {
		h.t.Errorf("a gateway that was told to end: %v", err)
	}
}

// events returns what a gateway has announced, by id. Each message is in its store.
func (h *fleetHost) events(m member) map[string]*pipeline.Event {
	h.t.Helper()
	out, err := h.Command(h.t.Context(), "kcat", "-b", m.events, "-C", "-t", process.Topic,
		"-o", "beginning", "-e", "-q", "-f", "%k %s\\n").Output()
	if err != nil {
		h.t.Fatal(err)
	}
	var records []*kgo.Record
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		records = append(records, &kgo.Record{Key: []byte(key), Value: []byte(value)})
	}
	_, events := agree(h.t, h.data(m), records)
	return events
}

// documentedListener returns the first configuration in docs/balancer.md, which is also
// what deploy/haproxy.cfg says of the gateways.
func documentedListener(t *testing.T) string {
	t.Helper()
	listener := firstYAML(t, "../docs/balancer.md")
	comments, err := os.ReadFile("../deploy/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	_, said, _ := strings.Cut(string(comments), "#   listeners:\n")
	for line := range strings.Lines(listener) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), " # ")
		if key != "listeners:" && !strings.Contains(said, key) {
			t.Errorf("deploy/haproxy.cfg does not say %s", key)
		}
	}
	return listener
}

var restarts = flag.Int("restarts", 1, "times that each gateway behind HAProxy is restarted")

// TestRollingRestart restarts the gateways behind HAProxy in turn, under load: nothing is
// lost, and no connection is refused. HAProxy has a host of its own with the address that
// docs/balancer.md names, and runs deploy/haproxy.cfg as it stands.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	needs(t, "haproxy", "smtp-source", "curl", "kcat")
	front, behind := ownHosts(t)
	h := &fleetHost{Host: behind, t: t, dir: t.TempDir(), listener: documentedListener(t)}
	var gateways []*exec.Cmd
	for _, m := range members {
		command(t, "ip", "-n", behind.Name, "addr", "add", m.address+"/24", "dev", "veth0")
		gateways = append(gateways, h.gateway(m))
	}
	configuration, err := filepath.Abs("../deploy/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	balancer := front.Command(context.WithoutCancel(t.Context()), "haproxy", "-db", "-f", configuration)
	said := &testkit.Buffer{}
	balancer.Stdout, balancer.Stderr = said, said
	if err := balancer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = balancer.Process.Kill()
		_ = balancer.Wait()
	})
	send := func(messages int) error {
		out, err := behind.Command(context.WithoutCancel(t.Context()), "smtp-source", "-s", "10", "-m", fmt.Sprint(messages),
			"-l", "2000", "-f", "sender@example.org", "-t", "recipient@example.net", front.Address+":25").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	testkit.Eventually(t, "HAProxy takes connections", func() bool { return send(1) == nil })

	restarted := make(chan struct{})
	sent, failed := 1, error(nil)
	sending := make(chan struct{})
	go func() {
		defer close(sending)
		for {
			const each = 200
			if failed = send(each); failed != nil {
				return
			}
			sent += each
			select {
			case <-restarted:
				return
			default:
			}
		}
	}()
	for range *restarts {
		for i, m := range members {
			returns := func() int { return strings.Count(said.String(), "sluice/"+m.name+" is UP") }
			before := returns()
			h.end(gateways[i])
			gateways[i] = h.gateway(m)
			testkit.Eventually(t, "HAProxy uses "+m.name+" again", func() bool { return returns() > before })
		}
	}
	close(restarted)
	<-sending
	if failed != nil {
		t.Fatalf("a sender was refused: %v\n%s", failed, said)
	}
	announced := map[string]bool{}
	for _, m := range members {
		for id, e := range h.events(m) {
			announced[id] = true
			if from, proxy := e.Client.Address.Addr().String(), e.Client.Proxy; from != behind.Address || proxy == nil || proxy.Address.String() != front.Address {
				t.Fatalf("%s is from %s by %+v", id, from, proxy)
			}
		}
	}
	if len(announced) != sent {
		t.Errorf("%d messages accepted, %d announced", sent, len(announced))
	}
	t.Logf("%d messages", sent)
}

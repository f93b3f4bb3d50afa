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

	"sluice/internal/testkit"
	"sluice/loadtest/hosts"
	"sluice/loadtest/process"
)

// fleetHost runs HAProxy with deploy/haproxy.cfg as it stands, and the gateways that it
// names, on one host.
type fleetHost struct {
	*hosts.Host
	t   *testing.T
	dir string
}

// member is a gateway that deploy/haproxy.cfg names.
type member struct{ name, address, events string }

var members = []member{
	{"mx1", "192.0.2.11", "127.0.0.1:9094"},
	{"mx2", "192.0.2.12", "127.0.0.1:9095"},
}

// gateway starts a gateway.
func (h *fleetHost) gateway(m member) *exec.Cmd {
	h.t.Helper()
	p := h.Command(context.WithoutCancel(h.t.Context()), gatewayBinary, "serve")
	p.Env = append(os.Environ(), "SLUICE_DATA_DIR="+filepath.Join(h.dir, m.name), "SLUICE_HOSTNAME=mx1.example.net",
		`SLUICE_LISTENERS=[{address: "`+m.address+`:2525", proxy_protocol: required, proxy_networks: ["192.0.2.0/24"]}]`,
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

// events returns the number of messages that a gateway has announced.
func (h *fleetHost) events(m member) int {
	h.t.Helper()
	out, err := h.Command(h.t.Context(), "kcat", "-b", m.events, "-C", "-t", process.Topic,
		"-o", "beginning", "-e", "-q", "-f", "%s\\n").Output()
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.Count(string(out), "\n")
}

var restarts = flag.Int("restarts", 1, "times that each gateway behind HAProxy is restarted")

// TestRollingRestart restarts the gateways behind HAProxy in turn, under load: nothing is
// lost, and no connection is refused.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	needs(t, "haproxy", "smtp-source", "curl", "kcat")
	server, client := ownHosts(t)
	h := &fleetHost{Host: server, t: t, dir: t.TempDir()}
	var gateways []*exec.Cmd
	for _, m := range members {
		command(t, "ip", "-n", server.Name, "addr", "add", m.address+"/24", "dev", "veth0")
		gateways = append(gateways, h.gateway(m))
	}
	configuration, err := filepath.Abs("../deploy/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	balancer := server.Command(context.WithoutCancel(t.Context()), "haproxy", "-db", "-f", configuration)
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
		out, err := client.Command(context.WithoutCancel(t.Context()), "smtp-source", "-s", "10", "-m", fmt.Sprint(messages),
			"-l", "2000", "-f", "sender@example.org", "-t", "recipient@example.net", server.Address+":25").CombinedOutput()
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
	events := 0
	for _, m := range members {
		events += h.events(m)
	}
	if events != sent {
		t.Errorf("%d messages accepted, %d announced", sent, events)
	}
	t.Logf("%d messages", sent)
}

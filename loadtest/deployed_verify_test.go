package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"sluice/internal/testkit"
	"sluice/loadtest/hosts"
	"sluice/loadtest/process"
	"sluice/pipeline"
)

// deployedZone has a name for each address that a client of TestDeployedVerification has,
// and one domain of which all may send.
const deployedZone = `server:
  directory: %q
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  interface: 192.0.2.53
  access-control: 192.0.2.0/24 allow
  module-config: "iterator"
  local-zone: "." static
  local-data: 'example.org. TXT "v=spf1 ip4:192.0.2.1 ip4:192.0.2.7 ip6:2001:db8::1 ip6:2001:db8::7 -all"'
  local-data: '_dmarc.example.org. TXT "v=DMARC1; p=reject"'
`

// peer is an address of the other host, and what the DNS says about it.
type peer struct{ address, name, mechanism string }

var (
	direct4 = peer{"192.0.2.1", "one4.example.org", "ip4:192.0.2.1"}
	direct6 = peer{"2001:db8::1", "one6.example.org", "ip6:2001:db8::1"}
	behind4 = peer{"192.0.2.7", "seven4.example.org", "ip4:192.0.2.7"}
	behind6 = peer{"2001:db8::7", "seven6.example.org", "ip6:2001:db8::7"}
)

// serveDNS starts the resolver that the documents name, on another host.
func serveDNS(t *testing.T, on *hosts.Host) {
	t.Helper()
	command(t, "ip", "-n", on.Name, "addr", "add", "192.0.2.53/24", "dev", "veth0")
	zone := strings.Replace(deployedZone, "%q", `"`+t.TempDir()+`"`, 1)
	for _, p := range []peer{direct4, direct6, behind4, behind6} {
		family := map[bool]string{true: "AAAA", false: "A"}[strings.Contains(p.address, ":")]
		zone += "  local-data: '" + p.name + ". " + family + " " + p.address + "'\n" +
			"  local-data: '" + p.name + `. TXT "v=spf1 a -all"'` + "\n" +
			"  local-data-ptr: '" + p.address + " " + p.name + "'\n"
	}
	serves(t, on, "start of service", "unbound", "-d", "-p", "-c", writeFile(t, "unbound.conf", zone))
}

// serves starts a server on a host, and ends it with the test.
func serves(t *testing.T, on *hosts.Host, ready, name string, args ...string) {
	t.Helper()
	server, said := on.Command(context.WithoutCancel(t.Context()), name, args...), &testkit.Buffer{}
	server.Stdout, server.Stderr = said, said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, said)
		}
	})
	testkit.Eventually(t, name+" is ready", func() bool { return strings.Contains(said.String(), ready) })
}

// uncommented returns a configuration with parts of it, given as regular expressions of
// lines, in use that are comments in it.
func uncommented(t *testing.T, config string, parts ...string) string {
	t.Helper()
	for _, part := range parts {
		at := regexp.MustCompile(`(?m)^` + part).FindStringIndex(config)
		if at == nil {
			t.Fatalf("no %s in\n%s", part, config)
		}
		config = config[:at[0]] + regexp.MustCompile(`(?m)^( *)# `).ReplaceAllString(config[at[0]:at[1]], "$1") + config[at[1]:]
	}
	return config
}

// TestDeployedVerification starts the configurations of docs/verification.md and deploy/ on
// a host of its own. Another host sends over IPv4 and IPv6, as itself, through HAProxy as
// deploy/haproxy.cfg has it, and by XCLIENT: it is the client's own address that is verified.
func TestDeployedVerification(t *testing.T) {
	t.Parallel()
	needs(t, "unbound", "haproxy", "curl", "swaks", "kcat")
	other, server := ownHosts(t) // the balancer of the documents is 192.0.2.1
	if err := hosts.AddIPv6(t.Context(), other, server); err != nil {
		t.Fatal(err)
	}
	for _, add := range []struct {
		host    *hosts.Host
		address string
	}{
		{other, "192.0.2.3/24"}, {other, "192.0.2.7/24"}, {other, "2001:db8::7/64"}, {server, "192.0.2.11/24"}, {server, "192.0.2.12/24"},
	} {
		command(t, "ip", "-n", add.host.Name, "addr", "add", add.address, "dev", "veth0", "nodad")
	}
	serveDNS(t, other)
	production, err := os.ReadFile("../deploy/sluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	balancer, err := os.ReadFile("../deploy/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	const dns, proxy = `# dns:\n(#   .*\n)+`, `    # proxy_protocol: .*\n    # proxy_networks: .*\n`
	mail := writeFile(t, "mail", "From: a@example.org\r\n\r\ntext\r\n")
	// to sends over the protocol of the client's address.
	to := func(host *hosts.Host, port string) func(peer) *exec.Cmd {
		return func(from peer) *exec.Cmd {
			address := host.Address
			if strings.Contains(from.address, ":") {
				address = "[" + host.IPv6 + "]"
			}
			return other.Command(t.Context(), "curl", "-sSv", "--max-time", "20", "--interface", from.address, "smtp://"+address+":"+port+"/"+from.name,
				"--mail-from", "a@example.org", "--mail-rcpt", "b@example.net", "-T", mail)
		}
	}
	xclient := func(from peer) *exec.Cmd {
		address := strings.Replace(from.address, "2001:", "IPV6:2001:", 1)
		return other.Command(t.Context(), "swaks", "--server", server.Address, "--port", "2525", "--local-interface", "192.0.2.3", "--xclient-addr", address,
			"--helo", from.name, "--from", "a@example.org", "--to", "b@example.net", "--header", "From: a@example.org")
	}
	documented := firstYAML(t, "../docs/verification.md")
	for _, test := range []struct {
		name, config, authserv string
		clients                []peer
		send                   func(peer) *exec.Cmd
	}{
		{"docs/verification.md", documented + `listeners: [{address: ":2525"}]`, "mx.example.net", []peer{direct4, direct6}, to(server, "2525")},
		{"XCLIENT", documented + allYAML(t, "../docs/balancer.md")[1], "mx.example.net", []peer{behind4, behind6}, xclient},
		{"deploy/sluice.yaml", uncommented(t, string(production), dns), "mx1.example.net", []peer{direct4, direct6}, to(server, "2525")},
		{"HAProxy", uncommented(t, string(production), dns, proxy), "mx1.example.net", []peer{behind4, behind6}, to(other, "25")},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			said := deploy(t, server, dir, test.config)
			if test.name == "HAProxy" {
				both := strings.Replace(string(balancer), "    bind :25\n", "    bind :25\n    bind :::25 v6only\n", 1)
				serves(t, other, "New worker", "haproxy", "-W", "-db", "-f", writeFile(t, "haproxy.cfg", both))
			}
			for _, from := range test.clients {
				if out, err := test.send(from).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s\n%s", from.address, err, out, said)
				}
			}
			events := eventsOn(t, server, len(test.clients))
			for i, from := range test.clients {
				isVerified(t, dir, test.authserv, from, events[i])
			}
		})
	}
}

// isVerified expects a verdict about a client in the event and on top of its mail.
func isVerified(t *testing.T, dir, authserv string, from peer, e *pipeline.Event) {
	t.Helper()
	v := e.Verdicts
	if v == nil || e.Client.Address.Addr().String() != from.address || v.SPF.Result != "pass" || v.SPF.Mechanism != from.mechanism ||
		v.SPF.Helo != "pass" || v.IPRev.Result != "pass" || v.IPRev.Name != from.name || v.DMARC.Result != "pass" {
		t.Errorf("%s: the client is %s, the verdict %+v", from.address, e.Client.Address, v)
	}
	whole, err := os.ReadFile(filepath.Join(dir, e.Blob.Bucket, e.Blob.Key))
	if err != nil {
		t.Fatal(err)
	}
	added := string(whole[e.Blob.Offset:][:e.Blob.Added])
	shown := from.address
	if strings.Contains(shown, ":") {
		shown = "IPv6:" + shown
	}
	for _, want := range []string{
		"Authentication-Results: " + authserv + ";", "iprev=pass", "\r\nReceived: from " + from.name + " (" + from.name + " [" + shown + "])",
	} {
		if !strings.Contains(added, want) {
			t.Errorf("%s: no %q in\n%s", from.address, want, added)
		}
	}
}

// eventsOn returns the events of a gateway on a host, in their order.
func eventsOn(t *testing.T, on *hosts.Host, want int) (events []*pipeline.Event) {
	t.Helper()
	out, err := on.Command(t.Context(), "kcat", "-b", "127.0.0.1:9094", "-C", "-t", process.Topic, "-o", "beginning", "-e", "-q").Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		e, err := pipeline.ParseEvent([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	if len(events) != want {
		t.Fatalf("%d events, want %d", len(events), want)
	}
	return events
}

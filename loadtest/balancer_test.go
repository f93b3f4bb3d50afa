package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/loadtest/process"
	"sluice/pipeline"
)

// onlyEvent returns the one event of a gateway.
func onlyEvent(t *testing.T, gateway *process.Sluice) *pipeline.Event {
	t.Helper()
	_, events := inventory(t, gateway)
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	for _, e := range events {
		return e
	}
	return nil
}

// startTool starts a server that is no gateway, and ends it with the test.
func startTool(t *testing.T, address, name string, args ...string) *process.Process {
	t.Helper()
	p, err := process.Start(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	testkit.Eventually(t, name+" listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	return p
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// swaksFrom sends a mail from an address of this machine and returns the dialog.
func swaksFrom(t *testing.T, client, server string, args ...string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	return command(t, "swaks", append([]string{"--server", host, "--port", port, "--local-interface", client,
		"--helo", "client.example.org", "--from", "sender@example.org", "--to", "recipient@example.net"}, args...)...)
}

// metric returns the sum of the samples whose name begins with prefix.
func metric(t *testing.T, gateway *process.Sluice, prefix string) (sum float64) {
	t.Helper()
	page := command(t, "curl", "-sS", "http://"+gateway.Admin+"/metrics")
	for line := range strings.Lines(page) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), " "); found && strings.HasPrefix(name, prefix) {
			number, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			sum += number
		}
	}
	return sum
}

// expectMetric expects that sum. What a client has seen may be counted a moment later.
func expectMetric(t *testing.T, gateway *process.Sluice, prefix string, want float64) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprintf("%s is %v", prefix, want), func() bool { return metric(t, gateway, prefix) == want })
}

const fromLoopback = "proxy_protocol: required, proxy_networks: [127.0.0.0/8]"

// TestHAProxy sends mail through HAProxy, which names its clients in either version and
// checks by the same header whether the gateway is there.
func TestHAProxy(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"send-proxy", "send-proxy-v2 proxy-v2-options unique-id,crc32c"} {
		t.Run(strings.Fields(version)[0], func(t *testing.T) {
			needs(t, "haproxy", "swaks", "curl")
			gateway := newGateway(t)
			gateway.Listener = fromLoopback
			gateway.Config = "log: {level: info, format: json}\n"
			p := startGateway(t, gateway)
			front, statistics := freeAddress(t), freeAddress(t)
			startTool(t, front, "haproxy", "-db", "-f", writeFile(t, "haproxy.cfg", fmt.Sprintf(`
defaults
    mode tcp
    timeout connect 5s
    timeout check 5s
    timeout client 1m
    timeout server 1m
frontend smtp
    bind %s
    unique-id-format %%{+X}o\ %%pid-%%rt
    default_backend sluice
backend sluice
    server plain %s %s check inter 100ms fall 20
    server banner %s %s check inter 100ms fall 20 addr 127.0.0.1
frontend statistics
    mode http
    bind %s
    stats enable
    stats uri /
`, front, gateway.SMTP, version, gateway.SMTP, version, statistics)))
			swaksFrom(t, "127.0.0.7", front)
			testkit.Eventually(t, "some checks have passed", func() bool {
				return metric(t, gateway, `sluice_sessions_total`) > 5
			})
			e := onlyEvent(t, gateway)
			if got := e.Client.Address.Addr().String(); got != "127.0.0.7" {
				t.Errorf("the client is %s", got)
			}
			if e.Client.Proxy == nil || e.Client.Proxy.Address != netip.MustParseAddr("127.0.0.1") ||
				(e.Client.Proxy.UniqueID != "") != strings.Contains(version, "unique-id") {
				t.Errorf("the balancer is %+v", e.Client.Proxy)
			}
			said := p.Output()
			if n := metric(t, gateway, "sluice_proxy_refused_total"); n != 0 || strings.Contains(said, "refused") {
				t.Errorf("%v health checks are refused, or have lines:\n%s", n, said)
			}
			refusing := regexp.MustCompile(`(?m)^sluice_replies_total\{cause="[^"]*",code="[45]\d\d"\} (?:[1-9].*)$`)
			page := command(t, "curl", "-sS", "http://"+gateway.Admin+"/metrics")
			if found := refusing.FindAllString(page, -1); found != nil {
				t.Errorf("replies that refuse: %q", found)
			}
		})
	}
}

// TestUsersBehindHAProxy has users come through HAProxy, which leaves TLS to the gateway.
// Failures count against the client's own address: not against HAProxy's, nor others behind it.
func TestUsersBehindHAProxy(t *testing.T) {
	t.Parallel()
	needs(t, "haproxy", "swaks", "perl", "curl")
	needsModule(t, "Net::SSLeay")
	gateway := newAuthGateway(t, fmt.Sprintf("backends: [static], static: {file: %q}", userFile(t, map[string]string{annName: canary})))
	gateway.Listener = strings.ReplaceAll(gateway.Listener, "role: submission", "role: submission, "+fromLoopback)
	p := startGateway(t, gateway.Sluice)
	front := freeAddress(t)
	startTool(t, front, "haproxy", "-db", "-f", writeFile(t, "haproxy.cfg", fmt.Sprintf(`
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
listen submissions
    bind %s
    server one %s send-proxy-v2
`, front, gateway.implicit)))
	swaksFrom(t, "127.0.0.7", front, "-tlsc", "--auth", "PLAIN", "--auth-user", annName, "--auth-password", canary,
		"--from", annName, "--to", "somebody@elsewhere.example")
	if e := onlyEvent(t, gateway.Sluice); e.Client.Address.Addr().String() != "127.0.0.7" || e.Client.Auth == nil || e.Client.Auth.Identity != annName {
		t.Errorf("the client is %+v", e.Client)
	}

	const refused = "535 5.7.8"
	tries := func(source, user string) *testkit.SMTP {
		s := testkit.NewSMTP(t, tls.Client(from(t, source, front), &tls.Config{InsecureSkipVerify: true}))
		fmt.Fprint(s.Conn, "EHLO client.example.org\r\n")
		s.Expect("220", "250-", "250-", "250-", "250-", "250-", "250 AUTH")
		fmt.Fprint(s.Conn, authPlain(user, nonsense))
		return s
	}
	began := time.Now()
	for i := range 3 { // at once, after 1 s, after 2 s
		tries("127.0.0.7", fmt.Sprintf("nobody%d@example.org", i)).Expect(refused)
	}
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("three failures took only %v", took)
	}
	// The next one waits 4 s, and whoever comes then would wait 8 s if they counted for
	// HAProxy. On a busy machine one who does not wait may be late, too, and there is
	// another turn with longer times.
	overtaken := false
	for i := 3; i < 6 && !overtaken; i++ {
		held, answer := tries("127.0.0.7", fmt.Sprintf("nobody%d@example.org", i)), make(chan string, 1)
		go func() {
			line, err := held.In.ReadString('\n')
			answer <- fmt.Sprint(line, err)
		}()
		expectMetric(t, gateway.Sluice, `sluice_auth_attempts_total{backend="static",result="unknown_user"}`, float64(2*i-2))
		tries(fmt.Sprintf("127.0.0.%d", 5+i), "nobody@example.net").Expect(refused)
		select {
		case <-answer:
		default:
			overtaken = true
		}
	}
	if !overtaken {
		t.Error("who has not failed yet waits behind others")
	}
	for _, source := range []string{"127.0.0.7", "127.0.0.8"} {
		refusal := regexp.MustCompile(` code=535 .* client=` + source + `:.* user=nobody`)
		testkit.Eventually(t, "a refusal of "+source+" is in the log", func() bool { return refusal.MatchString(p.Output()) })
	}
}

// TestProxyBySwaks speaks both versions of the header, and tries without one.
func TestProxyBySwaks(t *testing.T) {
	t.Parallel()
	needs(t, "swaks", "curl")
	gateway := newGateway(t)
	gateway.Listener = fromLoopback
	startGateway(t, gateway)
	for version, family := range map[string]string{"1": "TCP4", "2": "AF_INET"} {
		swaksFrom(t, "127.0.0.1", gateway.SMTP, "--proxy-version", version, "--proxy-family", family,
			"--proxy-source", "192.0.2.7", "--proxy-source-port", "4711", "--proxy-dest", "192.0.2.1", "--proxy-dest-port", "25")
	}
	_, events := inventory(t, gateway)
	for id, e := range events {
		if e.Client.Address.String() != "192.0.2.7:4711" {
			t.Errorf("%s: the client is %s", id, e.Client.Address)
		}
	}
	if len(events) != 2 {
		t.Errorf("%d events", len(events))
	}
	c, err := net.Dial("tcp", gateway.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "EHLO client.example.org\r\n")
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("without a header: %d bytes, %v", n, err)
	}
	expectMetric(t, gateway, `sluice_proxy_refused_total{cause="missing"}`, 1)
}

// TestXclientBySwaks has swaks name the client, as a proxy does.
func TestXclientBySwaks(t *testing.T) {
	t.Parallel()
	needs(t, "swaks")
	gateway := newGateway(t)
	gateway.Listener = "xclient_networks: [127.0.0.1]"
	startGateway(t, gateway)
	said := swaksFrom(t, "127.0.0.1", gateway.SMTP, "--xclient-addr", "192.0.2.7", "--xclient-port", "4711",
		"--xclient-name", "client.example.org", "--xclient-helo", "helo.example.org", "--xclient-proto", "ESMTP")
	e := onlyEvent(t, gateway)
	if e.Client.Address.String() != "192.0.2.7:4711" || e.Client.Proxy == nil || e.Client.Proxy.Name != "client.example.org" ||
		e.Client.Helo != "client.example.org" {
		t.Errorf("client %+v, proxy %+v\n%s", e.Client, e.Client.Proxy, said)
	}
	if said := swaksFrom(t, "127.0.0.2", gateway.SMTP, "--quit-after", "EHLO"); strings.Contains(said, "XCLIENT") {
		t.Errorf("offered to anybody:\n%s", said)
	}
}

// TestNginxMailProxy has nginx's mail proxy name its client by XCLIENT.
func TestNginxMailProxy(t *testing.T) {
	t.Parallel()
	needs(t, "nginx", "swaks")
	gateway := newGateway(t)
	gateway.Listener = "xclient_networks: [127.0.0.1]"
	startGateway(t, gateway)
	host, port, err := net.SplitHostPort(gateway.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Auth-Status", "OK")
		w.Header().Set("Auth-Server", host)
		w.Header().Set("Auth-Port", port)
	}))
	t.Cleanup(auth.Close)
	front, dir := freeAddress(t), t.TempDir()
	startTool(t, front, "nginx", "-p", dir, "-c", writeFile(t, "nginx.conf", fmt.Sprintf(`
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
master_process off;
pid %s/pid;
error_log stderr info;
events {}
mail {
    server_name proxy.example.net;
    auth_http %s/;
    proxy_pass_error_message on;
    server {
        listen %s;
        protocol smtp;
        smtp_auth none;
        xclient on;
    }
}
`, dir, strings.TrimPrefix(auth.URL, "http://"), front)))
	swaksFrom(t, "127.0.0.7", front)
	e := onlyEvent(t, gateway)
	if got := e.Client.Address.Addr().String(); got != "127.0.0.7" || e.Client.Proxy == nil {
		t.Errorf("the client is %s, the proxy %+v", got, e.Client.Proxy)
	}
	// From its first recipient on nginx passes on what a client says.
	forger := testkit.DialSMTP(t, front)
	forger.Expect("220 ")
	for _, said := range []struct{ command, want string }{
		{"HELO client.example.org", "250 "}, {"MAIL FROM:<a@example.org>", "250 "}, {"RCPT TO:<b@example.net>", "250 "},
		{"RSET", "250 "}, {"XCLIENT ADDR=203.0.113.9", "500 "}, {"NOOP", "250 "},
	} {
		fmt.Fprint(forger.Conn, said.command+"\r\n")
		forger.Expect(said.want)
	}
}

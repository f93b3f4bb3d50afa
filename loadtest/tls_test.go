package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/loadtest/client"
	"sluice/loadtest/process"
	"sluice/pipeline"
)

// tlsGateway is a gateway with the configuration at the top of docs/tls.md: STARTTLS at
// SMTP, and TLS from the first byte on at implicit. Its folder has the pair.
type tlsGateway struct {
	*process.Sluice
	implicit string
	cert     string
}

// newTLSGateway prepares a gateway with further keys of the section tls.
func newTLSGateway(t *testing.T, more string) *tlsGateway {
	t.Helper()
	page, err := os.ReadFile("../docs/tls.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(page), "```yaml\n")
	shown, _, _ = strings.Cut(shown, "```")
	g := &tlsGateway{Sluice: newGateway(t), implicit: freeAddress(t)}
	dir := filepath.Join(g.Dir, "tls")
	command(t, gatewayBinary, "tls", "self-signed", "--dir", dir, "--name", "mx1.example.net")
	g.cert = filepath.Join(dir, "cert.pem")
	listeners, section, found := strings.Cut(shown, "tls:\n")
	if !found {
		t.Fatalf("docs/tls.md begins with %q", shown)
	}
	g.Config = "tls:\n" + more + strings.NewReplacer("/etc/sluice/tls/fullchain.pem", g.cert,
		"/etc/sluice/tls/privkey.pem", filepath.Join(dir, "key.pem")).Replace(section)
	// The first listener is written by Sluice.Args, which is given all that follows its address.
	listeners = strings.NewReplacer(`:25"`, `"`, `:465"`, g.implicit+`"`).Replace(listeners)
	entries := regexp.MustCompile(`\{(address: "[^"]*"), (tls: \w+)\}`).FindAllStringSubmatch(listeners, -1)
	if len(entries) != 2 {
		t.Fatalf("docs/tls.md has the listeners %q", listeners)
	}
	g.Listener = entries[0][2] + "}, {" + entries[1][1] + ", " + entries[1][2]
	return g
}

// encrypted checks that each message came over TLS, and that its event and its Received
// field agree on it. It returns the events.
func encrypted(t *testing.T, gateway *process.Sluice, messages int) map[string]*pipeline.Event {
	t.Helper()
	_, events := inventory(t, gateway)
	for id, e := range events {
		if e.Client.Protocol != "ESMTPS" || e.Client.TLS == nil {
			t.Errorf("%s: client %+v", id, e.Client)
			continue
		}
		added := readObject(t, gateway, e)[:e.Blob.Added]
		for _, want := range []string{" with ESMTPS id " + id, "\ttls " + e.Client.TLS.Cipher + ";"} {
			if !bytes.Contains(added, []byte(want)) {
				t.Errorf("%s: no %q in %q", id, want, added)
			}
		}
	}
	if len(events) != messages {
		t.Errorf("%d events, want %d", len(events), messages)
	}
	return events
}

// opensslMail is a session that openssl types. It takes a line that begins with R or Q as
// one of its own commands, unless it is told -ign_eof.
const opensslMail = "EHLO client.example.org\r\nMAIL FROM:<sender@example.org>\r\nRCPT TO:<recipient@example.net>\r\n" +
	"DATA\r\nSubject: openssl\r\n\r\ntext\r\n.\r\nQUIT\r\n"

// openssl runs openssl s_client with an input and returns what it shows. It fails where
// the handshake does.
func openssl(t *testing.T, input string, args ...string) (shown string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "openssl", append([]string{"s_client", "-servername", "mx1.example.net"}, args...)...)
	c.Stdin = strings.NewReader(input)
	out, err := c.CombinedOutput()
	return string(out), err
}

// typing has openssl s_client type each line once it has shown the text before it, and
// returns what it shows. A line of R alone asks for a renegotiation; K and k change the
// keys, K of both sides.
func typing(t *testing.T, dialog [][2]string, args ...string) (shown string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "openssl", append([]string{"s_client", "-servername", "mx1.example.net"}, args...)...)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = c.Stdout // what it shows of an alert
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	looked := 0
	for part := make([]byte, 4096); ; {
		n, err := out.Read(part)
		if shown += string(part[:n]); err != nil {
			break
		}
		for len(dialog) > 0 {
			at := strings.Index(shown[looked:], dialog[0][0])
			if at < 0 {
				break
			}
			looked += at + len(dialog[0][0])
			_, _ = io.WriteString(in, dialog[0][1]+"\n")
			dialog = dialog[1:]
		}
	}
	_ = c.Wait()
	return shown
}

// TestOpenSSL sends mail in each version, by STARTTLS and by implicit TLS, and tries what
// is refused.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	needs(t, "openssl", "curl")
	gateway := newTLSGateway(t, "")
	p := startGateway(t, gateway.Sluice)
	ways := [][]string{{"-starttls", "smtp", "-connect", gateway.SMTP}, {"-connect", gateway.implicit}}
	for _, way := range ways {
		for version, name := range map[string]string{"-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"} {
			trusted := []string{version, "-ign_eof", "-CAfile", gateway.cert, "-verify_return_error", "-verify_hostname", "mx1.example.net"}
			shown, err := openssl(t, opensslMail, append(trusted, way...)...)
			if err != nil || !strings.Contains(shown, "New, "+name) || !strings.Contains(shown, "\r\n221 2.0.0 ") {
				t.Errorf("%s %s: %v\n%s", version, way, err, shown)
			}
		}
		shown, err := openssl(t, "", append([]string{"-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"}, way...)...)
		if err == nil || !strings.Contains(shown, "alert protocol version") {
			t.Errorf("TLS 1.1 %s: %v\n%s", way, err, shown)
		}
	}
	if shown := typing(t, [][2]string{{"220 mx1.example.net", "R"}}, "-tls1_2", "-connect", gateway.implicit); !strings.Contains(shown, "alert unexpected message") {
		t.Errorf("a renegotiation was not refused:\n%s", shown)
	}
	keys := [][2]string{{"220 mx1.example.net", "K"}, {"KEYUPDATE", "NOOP"}, {"250 2.0.0 ", "k"}, {"KEYUPDATE", "quit"}}
	if shown := typing(t, keys, "-tls1_3", "-crlf", "-connect", gateway.implicit); !strings.Contains(shown, "221 2.0.0 ") {
		t.Errorf("with other keys:\n%s", shown)
	}
	ticket, early := filepath.Join(t.TempDir(), "ticket"), writeFile(t, "early", "EHLO early.example.org\r\n")
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		// The ticket of TLS 1.3 comes behind the handshake: it is there once a reply has been read.
		if shown, err := openssl(t, "QUIT\r\n", version, "-ign_eof", "-sess_out", ticket, "-connect", gateway.implicit); err != nil {
			t.Fatalf("%v\n%s", err, shown)
		}
		args := []string{version, "-ign_eof", "-sess_in", ticket, "-connect", gateway.implicit}
		if version == "-tls1_3" {
			args = append(args, "-early_data", early)
		}
		shown, err := openssl(t, opensslMail, args...)
		if err != nil || !strings.Contains(shown, "Reused, ") {
			t.Errorf("%s is not resumed: %v\n%s", version, err, shown)
		}
		if version == "-tls1_3" && !strings.Contains(shown, "Early data was not sent") {
			t.Errorf("early data:\n%s", shown)
		}
	}
	resumed := 0
	for id, e := range encrypted(t, gateway.Sluice, 6) {
		if e.Client.TLS.SNI != "mx1.example.net" || e.Client.Helo != "client.example.org" {
			t.Errorf("%s: %+v", id, e.Client)
		}
		if e.Client.TLS.Resumed {
			resumed++
		}
	}
	if resumed != 2 {
		t.Errorf("%d events say resumed", resumed)
	}
	failed := map[string]float64{"no_shared_cipher": 2, "record": 1}
	for cause, n := range failed {
		expectMetric(t, gateway.Sluice, `sluice_tls_failures_total{cause="`+cause+`"}`, n)
		testkit.Eventually(t, "each has a line", func() bool { return strings.Count(p.Output(), "cause=tls_"+cause+" ") == int(n) })
	}
	expectMetric(t, gateway.Sluice, "sluice_tls_failures_total", 3)
}

// tlsSender sends by STARTTLS and by implicit TLS.
const tlsSender = `
import smtplib, ssl, sys
trust = ssl.create_default_context(cafile=sys.argv[1])
trust.check_hostname = False # it is connected to an address
def send(server):
    refused = server.sendmail("sender@example.org", ["recipient@example.net"], b"Subject: python\r\n\r\ntext\r\n")
    assert not refused, refused
host, port = sys.argv[2].split(":")
with smtplib.SMTP(host, int(port)) as server:
    server.starttls(context=trust)
    send(server)
host, port = sys.argv[3].split(":")
with smtplib.SMTP_SSL(host, int(port), context=trust) as server:
    send(server)
`

// TestClientsWithTLS sends by the clients that people have, by STARTTLS and by implicit
// TLS each.
func TestClientsWithTLS(t *testing.T) {
	t.Parallel()
	needs(t, "curl", "python3", "swaks", "perl")
	needsModule(t, "Net::SSLeay")
	gateway := newTLSGateway(t, "")
	startGateway(t, gateway.Sluice)
	mail := writeFile(t, "mail", header("curl")+"\r\ntext\r\n")
	for _, way := range [][]string{{"--ssl-reqd", "smtp://mx1.example.net:" + port(t, gateway.SMTP)}, {"smtps://mx1.example.net:" + port(t, gateway.implicit)}} {
		command(t, "curl", append([]string{"-sS", "--cacert", gateway.cert, "--connect-to", "mx1.example.net::127.0.0.1:",
			"--mail-from", "sender@example.org", "--mail-rcpt", "recipient@example.net", "--upload-file", mail}, way...)...)
	}
	command(t, "python3", "-c", tlsSender, gateway.cert, gateway.SMTP, gateway.implicit)
	swaksFrom(t, "127.0.0.1", gateway.SMTP, "-tls", "--tls-verify", "--tls-ca-path", gateway.cert, "--tls-sni", "mx1.example.net")
	swaksFrom(t, "127.0.0.1", gateway.implicit, "-tlsc", "--tls-verify", "--tls-ca-path", gateway.cert, "--tls-sni", "mx1.example.net")
	encrypted(t, gateway.Sluice, 6)
	expectMetric(t, gateway.Sluice, `sluice_tls_handshakes_total{version="TLSv1.3"}`, 6)
}

// TestDANE types the commands of docs/tls.md for a pair that was just made. Both digests
// are what the record says.
func TestDANE(t *testing.T) {
	t.Parallel()
	needs(t, "openssl")
	dir := t.TempDir()
	said := command(t, gatewayBinary, "tls", "self-signed", "--dir", dir, "--name", "mx.example.net")
	record := regexp.MustCompile(`(?m): 3 1 1 ([0-9a-f]{64})$`).FindStringSubmatch(said)
	if record == nil {
		t.Fatalf("no record in %q", said)
	}
	blocks := fenced(t, "../docs/tls.md", "DANE")
	lines := strings.Split(strings.TrimSpace(blocks[len(blocks)-1]), "\n")
	if len(lines) != 2 {
		t.Fatalf("the commands are %q", lines)
	}
	for _, line := range lines {
		digest := exec.CommandContext(t.Context(), "sh", "-c", line)
		digest.Dir = dir
		if out, err := digest.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), " "+record[1]+"\n") {
			t.Errorf("%s: %v, %q, want %s", line, err, out, record[1])
		}
	}
}

// needsModule is needs for a module of Perl.
func needsModule(t *testing.T, name string) {
	t.Helper()
	if exec.Command("perl", "-M"+name, "-e", "1").Run() != nil {
		testkit.Missing(t, "Perl has no "+name+" (make tools installs it)")
	}
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestPostfixRelaysByTLS has a real Postfix relay with smtp_tls_security_level, and
// another one with smtp_tls_wrappermode. Both verify the certificate.
func TestPostfixRelaysByTLS(t *testing.T) {
	t.Parallel()
	needs(t, "postfix", "postconf")
	testkit.Root(t, "Postfix starts only as root")
	gateway := newTLSGateway(t, "")
	startGateway(t, gateway.Sluice)
	pem, err := os.ReadFile(gateway.cert)
	if err != nil {
		t.Fatal(err)
	}
	trust := filepath.Join(os.TempDir(), fmt.Sprintf("sluice-trust-%d.pem", os.Getpid())) // the folder of a test is closed to Postfix
	if err := os.WriteFile(trust, pem, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(trust) })
	verify := []string{"smtp_tls_CAfile = " + trust, "smtp_tls_secure_cert_match = mx1.example.net", "smtp_tls_loglevel = 1"}
	for _, relay := range []string{
		startPostfix(t, gateway.SMTP, append(verify, "smtp_tls_security_level = encrypt")...),
		startPostfix(t, gateway.implicit, append(verify, "smtp_tls_security_level = secure", "smtp_tls_wrappermode = yes")...),
	} {
		c, err := client.Dial(t.Context(), relay)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Begin(&client.Mail{From: "sender@example.org", To: []string{"recipient@example.net"}}); err != nil {
			t.Fatal(err)
		}
		if err := c.Content([]byte(header("postfix") + "\r\ntext\r\n")); err != nil {
			t.Fatal(err)
		}
		if reply, err := c.ReadReply(); err != nil || reply.Code != 250 {
			t.Fatalf("%v %v", reply, err)
		}
	}
	awaitEvents(t, gateway.Sluice, 2)
	encrypted(t, gateway.Sluice, 2)
}

// TestHAProxyBeforeTLS has the header of PROXY come before implicit TLS, by HAProxy, and
// XCLIENT behind STARTTLS, by swaks.
func TestHAProxyBeforeTLS(t *testing.T) {
	t.Parallel()
	needs(t, "haproxy", "swaks", "perl", "curl")
	needsModule(t, "Net::SSLeay")
	gateway := newTLSGateway(t, "")
	named := gateway.implicit
	gateway.Listener = "tls: starttls, xclient_networks: [127.0.0.1]}, {address: \"" + named + "\", tls: implicit, " + fromLoopback
	p := startGateway(t, gateway.Sluice)
	front := freeAddress(t)
	startTool(t, front, "haproxy", "-db", "-f", writeFile(t, "haproxy.cfg", fmt.Sprintf(`
defaults
    mode tcp
    timeout connect 5s
    timeout check 5s
    timeout client 1m
    timeout server 1m
listen smtps
    bind %s
    server sluice %s send-proxy-v2 check inter 100ms fall 20
`, front, named)))
	swaksFrom(t, "127.0.0.7", front, "-tlsc")
	swaksFrom(t, "127.0.0.1", gateway.SMTP, "-tls", "--xclient-addr", "192.0.2.7", "--xclient-port", "4711",
		"--xclient-name", "client.example.org", "--xclient-helo", "helo.example.org", "--xclient-proto", "ESMTP")
	clients := map[string]bool{}
	for _, e := range encrypted(t, gateway.Sluice, 2) {
		clients[e.Client.Address.Addr().String()] = e.Client.Proxy != nil
	}
	if !clients["127.0.0.7"] || !clients["192.0.2.7"] {
		t.Errorf("the clients are %v", clients)
	}
	if n := metric(t, gateway.Sluice, "sluice_tls_failures_total"); n != 0 {
		t.Errorf("%v failures: health checks are no handshakes\n%s", n, p.Output())
	}
}

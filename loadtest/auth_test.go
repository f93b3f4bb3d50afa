package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/testkit"
	"sluice/loadtest/client"
	"sluice/loadtest/process"
	"sluice/pipeline"
)

// authGateway is a gateway that takes mail for example.net from anybody, and at its
// listeners for submission, with STARTTLS and with TLS at once, mail of users for anybody.
type authGateway struct {
	*tlsGateway // which has STARTTLS at SMTP, for anybody, and submission at implicit
	submission  string
}

// newAuthGateway prepares a gateway with a section auth, which is YAML in braces without
// the braces.
func newAuthGateway(t *testing.T, auth string) *authGateway {
	t.Helper()
	g := &authGateway{newTLSGateway(t, ""), freeAddress(t)}
	g.Accept = "{domains: [example.net]}"
	g.Listener = fmt.Sprintf("tls: starttls}, {address: %q, role: submission, tls: required}, {address: %q, role: submission, tls: implicit",
		g.submission, g.implicit)
	g.Config += "auth: {" + auth + "}\n"
	return g
}

// userFile writes a file for the backend static, by the command that people have.
func userFile(t *testing.T, users map[string]string) string {
	t.Helper()
	var all strings.Builder
	for name, password := range users {
		hash := exec.CommandContext(t.Context(), gatewayBinary, "hash-password")
		hash.Stdin = strings.NewReader(password)
		out, err := hash.Output()
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(name + ":" + string(out))
	}
	return writeFile(t, "users", all.String())
}

// authPlain returns the command that authenticates by PLAIN.
func authPlain(user, password string) string {
	return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)) + "\r\n"
}

// The user of these tests, with secrets that may be found nowhere.
const (
	annName  = "ann@example.org"
	canary   = `Canary-5d1c77: ="x"\`
	nonsense = "canary-f00d"
)

// authenticatedSender sends by each mechanism, and then tries what is refused.
const authenticatedSender = `
import smtplib, ssl, sys
cafile, starttls, implicit, user, password, token, wrong = sys.argv[1:]
trust = ssl.create_default_context(cafile=cafile)
trust.check_hostname = False # it is connected to an address
def connect(way):
    host, port = way.split(":")
    if way == implicit:
        return smtplib.SMTP_SSL(host, int(port), context=trust)
    server = smtplib.SMTP(host, int(port))
    server.starttls(context=trust)
    return server
def plain(server, secret):
    server.user, server.password = user, secret
    server.auth("PLAIN", server.auth_plain)
def challenged(server, secret):
    server.user, server.password = user, secret
    server.auth("PLAIN", server.auth_plain, initial_response_ok=False)
def login(server, secret):
    server.user, server.password = user, secret
    server.auth("LOGIN", server.auth_login)
def xoauth2(server, secret):
    text = f"user={user}\x01auth=Bearer {secret}\x01\x01"
    server.auth("XOAUTH2", lambda challenge=None: "" if challenge else text)
for way in starttls, implicit:
    for mechanism, secret in (plain, password), (challenged, password), (login, password), (xoauth2, token):
        with connect(way) as server:
            server.ehlo()
            mechanism(server, secret)
            refused = server.sendmail(user, ["somebody@elsewhere.example"], b"Subject: python\r\n\r\ntext\r\n")
            assert not refused, refused
for mechanism, secret in (plain, wrong), (xoauth2, token[:-9] + "A" * 9):
    with connect(starttls) as server:
        server.ehlo()
        try:
            mechanism(server, secret)
            assert False, "a wrong secret was taken"
        except smtplib.SMTPAuthenticationError as e:
            assert e.smtp_code == 535, e
        code, text = server.mail(user)
        assert code == 530, (code, text)
`

// TestClientsAuthenticate sends to strangers by the clients that people have, with
// passwords of a file and with tokens of a provider. The secrets are found nowhere.
func TestClientsAuthenticate(t *testing.T) {
	t.Parallel()
	needs(t, "curl", "python3", "swaks", "perl", "msmtp")
	needsModule(t, "Net::SSLeay")
	provider := newProvider(t)
	users := userFile(t, map[string]string{annName: canary})
	gateway := newAuthGateway(t, fmt.Sprintf("backends: [static, oidc-token], static: {file: %q}, cache: 5m, %s", users, provider.settings()))
	gateway.Config += "log: {level: debug}\n"
	p := startGateway(t, gateway.Sluice)
	token := provider.token(t, annName)
	trusted := []string{"--tls-verify", "--tls-ca-path", gateway.cert, "--tls-sni", "mx1.example.net"}
	sent := map[string]int{}

	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		for way, address := range map[string]string{"-tls": gateway.submission, "-tlsc": gateway.implicit} {
			swaksFrom(t, "127.0.0.1", address, append(trusted, way, "--auth", mechanism, "--auth-user", annName, "--auth-password", canary,
				"--from", annName, "--to", "somebody@elsewhere.example")...)
			sent[mechanism]++
		}
	}
	command(t, "python3", "-c", authenticatedSender, gateway.cert, gateway.submission, gateway.implicit, annName, canary, token, nonsense)
	sent["PLAIN"] += 4
	sent["LOGIN"] += 2
	sent["XOAUTH2"] += 2
	mail := writeFile(t, "mail", header("client")+"\r\ntext\r\n")
	for mechanism, secret := range map[string][]string{
		"PLAIN": {"--user", annName + ":" + canary}, "LOGIN": {"--user", annName + ":" + canary},
		"OAUTHBEARER": {"--user", annName, "--oauth2-bearer", token},
	} {
		command(t, "curl", append([]string{"-sS", "--cacert", gateway.cert, "--connect-to", "mx1.example.net::127.0.0.1:",
			"--login-options", "AUTH=" + mechanism, "--mail-from", annName, "--mail-rcpt", "somebody@elsewhere.example", "--upload-file", mail,
			"smtps://mx1.example.net:" + port(t, gateway.implicit)}, secret...)...)
		sent[mechanism]++
	}
	for mechanism, secret := range map[string]string{"plain": canary, "login": canary, "oauthbearer": token, "xoauth2": token} {
		for i, address := range []string{gateway.submission, gateway.implicit} {
			settings := writeFile(t, "msmtprc", fmt.Sprintf("defaults\ntls on\ntls_trust_file %s\ntls_host_override mx1.example.net\n"+
				"account default\nhost 127.0.0.1\nport %s\ntls_starttls %s\nauth %s\nuser %s\npasswordeval cat %s\nfrom %s\n",
				gateway.cert, port(t, address), []string{"on", "off"}[i], mechanism, annName, writeFile(t, "secret", secret+"\n"), annName))
			if err := os.Chmod(settings, 0o600); err != nil {
				t.Fatal(err)
			}
			command(t, "sh", "-c", `exec msmtp -C "$0" somebody@elsewhere.example <"$1"`, settings, mail)
			sent[strings.ToUpper(mechanism)]++
		}
	}
	// The same user at the listener for anybody.
	mx := exec.CommandContext(t.Context(), "swaks", "--server", gateway.SMTP, "-tls", "--helo", "client.example.org",
		"--auth", "PLAIN", "--auth-user", annName, "--auth-password", canary, "--from", annName, "--to", "somebody@elsewhere.example")
	if out, err := mx.CombinedOutput(); err == nil || !strings.Contains(string(out), "Host did not advertise authentication") {
		t.Errorf("at the mx listener: %v\n%s", err, out)
	}
	stranger := testkit.DialSMTP(t, gateway.SMTP)
	fmt.Fprint(stranger.Conn, "HELO x\r\n"+authPlain(annName, canary)+"MAIL FROM:<"+annName+">\r\nRCPT TO:<somebody@elsewhere.example>\r\n")
	stranger.Expect("220 ", "250 ", "502 5.5.1 ", "250 ", "550 5.7.1 ")

	issuers := map[string]string{"oidc-token": provider.URL}
	for _, e := range authenticated(t, gateway.Sluice) {
		a := e.Client.Auth
		sent[a.Mechanism]--
		backend := "static"
		if strings.Contains(a.Mechanism, "OAUTH") {
			backend = "oidc-token"
		}
		if a.Identity != annName || a.Backend != backend || a.Issuer != issuers[backend] || e.Client.TLS == nil {
			t.Errorf("%s: %+v, %+v", e.ID, e.Client, a)
		}
	}
	for mechanism, left := range sent {
		if left != 0 {
			t.Errorf("%d mails by %s are missing", left, mechanism)
		}
	}
	for sample, n := range map[string]float64{
		`{backend="static",result="accepted"}`: 16, `{backend="oidc-token",result="accepted"}`: 7,
		`{backend="static",result="wrong_password"}`: 1, `{backend="oidc-token",result="token_invalid"}`: 1,
	} {
		expectMetric(t, gateway.Sluice, "sluice_auth_attempts_total"+sample, n)
	}
	findNoSecret(t, gateway.Sluice, p, canary, nonsense, token, token[strings.LastIndex(token, ".")+1:])
}

// authenticated returns the events of a gateway, each of which must say who the client was
// and what the listener is for, as the Received field does.
func authenticated(t *testing.T, gateway *process.Sluice) (events map[string]*pipeline.Event) {
	t.Helper()
	_, events = inventory(t, gateway)
	for id, e := range events {
		if e.Client.Auth == nil || e.Client.Role != pipeline.RoleSubmission {
			t.Fatalf("%s: client %+v", id, e.Client)
		}
		if added := string(readObject(t, gateway, e)[:e.Blob.Added]); !strings.Contains(added, " with ESMTPSA id "+id) {
			t.Errorf("%s: added %q", id, added)
		}
	}
	return events
}

// findNoSecret looks for secrets, also in base64, in all that a gateway has said and kept.
func findNoSecret(t *testing.T, gateway *process.Sluice, p *process.Process, secrets ...string) {
	t.Helper()
	file, err := gateway.Configure()
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]string{
		"log": p.Output(), "metrics": command(t, "curl", "-sS", "http://"+gateway.Admin+"/metrics"),
		"configuration": command(t, gatewayBinary, "config", "print", "--config", file),
	}
	if !strings.Contains(places["log"], "\nsluice ") {
		t.Errorf("the log has lost its beginning: %.300s", places["log"])
	}
	err = filepath.WalkDir(gateway.DataDir(), func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			text, _ := os.ReadFile(path)
			places[path] = string(text)
		}
		return err
	})
	if err != nil || len(places) < 5 {
		t.Errorf("%d places, %v", len(places), err)
	}
	for where, text := range places {
		for _, secret := range secrets {
			forms := []string{secret}
			for shift := range 3 { // wherever it begins in what is encoded
				encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
				forms = append(forms, encoded[(8*shift+5)/6:len(encoded)-2])
			}
			for _, form := range forms {
				if strings.Contains(text, form) {
					t.Errorf("%.12q is in %s as %.20q", secret, where, form)
				}
			}
		}
	}
}

// TestPostfixAuthenticates has a real Postfix relay with smtp_sasl_auth_enable, by PLAIN
// and by LOGIN, over STARTTLS and over TLS at once. It sends AUTH=<> with each mail.
func TestPostfixAuthenticates(t *testing.T) {
	t.Parallel()
	needs(t, "postfix", "postconf")
	testkit.Root(t, "Postfix starts only as root")
	if found, err := filepath.Glob("/usr/lib/*/sasl2/libplain.so"); err != nil || len(found) == 0 {
		testkit.Missing(t, "Cyrus SASL has no mechanism PLAIN (make tools installs it)")
	}
	users := userFile(t, map[string]string{annName: canary})
	gateway := newAuthGateway(t, fmt.Sprintf("backends: [static], static: {file: %q}, cache: 5m", users))
	gateway.Config += "log: {level: debug}\n"
	startGateway(t, gateway.Sluice)
	for address, settings := range map[string][]string{
		gateway.submission: {"smtp_tls_security_level = encrypt", "smtp_sasl_mechanism_filter = plain"},
		gateway.implicit:   {"smtp_tls_security_level = encrypt", "smtp_tls_wrappermode = yes", "smtp_sasl_mechanism_filter = login"},
	} {
		host, port, _ := strings.Cut(address, ":")
		passwords := filepath.Join(os.TempDir(), fmt.Sprintf("sluice-sasl-%d-%s", os.Getpid(), port)) // the folder of a test is closed to Postfix
		if err := os.WriteFile(passwords, []byte("["+host+"]:"+port+" "+annName+":"+canary+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(passwords) })
		relay := startPostfix(t, address, append(settings, "smtp_sasl_auth_enable = yes", "smtp_sasl_security_options = noanonymous",
			"smtp_sasl_password_maps = texthash:"+passwords)...)
		c, err := client.Dial(t.Context(), relay)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Begin(&client.Mail{From: annName, To: []string{"somebody@elsewhere.example"}}); err != nil {
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
	mechanisms := ""
	for _, e := range authenticated(t, gateway.Sluice) {
		mechanisms += e.Client.Auth.Mechanism
	}
	if mechanisms != "PLAINLOGIN" && mechanisms != "LOGINPLAIN" {
		t.Errorf("they came by %s", mechanisms)
	}
}

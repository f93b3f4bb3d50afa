package server

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/gateway/identity/static"
	"sluice/internal/testkit"
)

// canary is a password that may be found nowhere.
const canary = "canary-5d1c77"

// authPlain returns the command that authenticates by PLAIN.
func authPlain(user, password string) string {
	return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)) + "\r\n"
}

// TestSubmission has users of a file send mail to anybody from their own address, at the
// listener for it alone; a reload changes who they are.
func TestSubmission(t *testing.T) {
	said := captureLog(t)
	dir := t.TempDir()
	users := filepath.Join(dir, "users")
	hashed := func(name, password string) string { return name + ":" + static.Hash([]byte(password)) + "\n" }
	settings := fmt.Sprintf("accept: {domains: [example.net]}\nlog: {level: debug}\nauth: {backends: [static], static: {file: %q}, allow_plaintext: true, cache: 5m}\n", users)
	c := launchListening(t, dir, `[{address: "127.0.0.1:0"}, {address: "127.0.0.1:0", role: submission}]`, func(c *configured) string {
		c.write(users, hashed("ann@example.net", canary))
		return settings
	})
	begin := func(listener int) *testkit.SMTP {
		s := testkit.DialSMTP(t, c.reactor.Addresses()[listener])
		fmt.Fprint(s.Conn, "EHLO client.example\r\n")
		s.Expect("220", "250", "250", "250", "250")
		if listener == 1 {
			s.Expect("250-ENHANCEDSTATUSCODES", "250 AUTH PLAIN LOGIN")
		} else {
			s.Expect("250 ENHANCEDSTATUSCODES")
		}
		return s
	}
	says := func(s *testkit.SMTP, line, answer string) {
		t.Helper()
		fmt.Fprint(s.Conn, line)
		s.Expect(answer)
	}
	ann := authPlain("ann@example.net", canary)

	mx := begin(0)
	says(mx, ann, "502 5.5.1")
	says(mx, "MAIL FROM:<ann@example.net>\r\n", "250")
	says(mx, "RCPT TO:<somebody@elsewhere.example>\r\n", "550 5.7.1")

	s := begin(1)
	says(s, "MAIL FROM:<ann@example.net>\r\n", "530 5.7.0")
	says(s, authPlain("ann@example.net", canary+"x"), "535 5.7.8")
	says(s, ann, "235 2.7.0")
	says(s, "MAIL FROM:<bob@example.net>\r\n", "553 5.7.1")
	says(s, "MAIL FROM:<ann@example.net> AUTH=<>\r\n", "250")
	says(s, "RCPT TO:<somebody@elsewhere.example>\r\n", "250")
	says(s, "DATA\r\n", "354")
	says(s, "Subject: one\r\n\r\ntext\r\n.\r\n", "250 2.0.0")

	c.write(users, "ann@example.net\n")
	if status, text := c.reload(); status != http.StatusUnprocessableEntity || !strings.Contains(text, "auth.static.file") {
		t.Errorf("a broken file: %d %s", status, text)
	}
	says(begin(1), ann, "235")
	c.write(users, hashed("bob@example.net", canary)+hashed("cat@example.net", canary))
	if status, text := c.reload(); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	says(begin(1), ann, "535") // also not out of the cache
	says(begin(1), authPlain("bob@example.net", canary), "235")
	says(s, "MAIL FROM:<ann@example.net>\r\n", "250") // that session goes on
	says(s, "RSET\r\n", "250")
	says(mx, "RSET\r\n", "250")

	c.expectSample(t, `sluice_auth_attempts_total{backend="static",result="accepted"} 3`)
	c.expectSample(t, `sluice_auth_attempts_total{backend="static",result="wrong_password"} 1`)
	c.expectSample(t, `sluice_auth_attempts_total{backend="static",result="unknown_user"} 1`)
	c.expectSample(t, `sluice_auth_attempts_in_flight 0`)
	for _, line := range []string{
		" code=535 enhanced=5.7.8 ", " user=ann@example.net mechanism=PLAIN backend=static reason=wrong_password",
		" reason=unknown_user", " user=bob@example.net mechanism=PLAIN backend=static", `msg="configuration reloaded" users=2 `, " protocol=ESMTPA user=ann@example.net backend=static from=ann@example.net",
		" cause=sender_not_owned code=553 enhanced=5.7.1 ", "msg=authenticated ",
	} {
		testkit.Eventually(t, "the log has "+line, func() bool { return strings.Contains(said(), line) })
	}
	var print strings.Builder
	if err := c.current.Load().Print(&print); err != nil {
		t.Fatal(err)
	}
	stored := ""
	err := filepath.WalkDir(filepath.Join(dir, "data"), func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			text, _ := os.ReadFile(path)
			stored += string(text)
		}
		return err
	})
	if err != nil || !strings.Contains(stored, `"auth":{"mechanism":"PLAIN","identity":"ann@example.net","backend":"static","issuer":""},"role":"submission"`) ||
		!strings.Contains(stored, " with ESMTPA id ") {
		t.Errorf("%v, stored %.2000q", err, stored)
	}
	for where, text := range map[string]string{"log": said(), "metrics": c.metricsPage(t), "configuration": print.String(), "store and events": stored} {
		for _, secret := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary)), strings.TrimSpace(strings.TrimPrefix(ann, "AUTH PLAIN "))} {
			if strings.Contains(text, secret) {
				t.Errorf("the password is in the %s", where)
			}
		}
	}
	c.end(t)
}

package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/internal/testkit/dnstest"
	"sluice/pipeline"
)

// verifyZone is the DNS of the tests.
const verifyZone = `
mx.example.com. 60 IN A 192.0.2.1
1.2.0.192.in-addr.arpa. 60 IN PTR mx.example.com.
example.com. 60 IN TXT "v=spf1 include:spf.example.com -all"
spf.example.com. 60 IN TXT "v=spf1 ip4:192.0.2.0/24 ~all"
_dmarc.example.com. 60 IN TXT "v=DMARC1; p=reject; rua=mailto:agg@example.com"
_dmarc.none.example. 60 IN TXT "v=DMARC1; p=none"
`

var verifyKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// signedMail returns a mail with a signature of From and an absent Subject, as example.com.
func signedMail(from, body string) string {
	hash := sha256.Sum256([]byte(body))
	field := "dkim-signature:v=1; a=ed25519-sha256; c=relaxed/simple; d=example.com; s=k; h=from:subject; bh=" +
		base64.StdEncoding.EncodeToString(hash[:]) + "; b="
	digest := sha256.Sum256([]byte("from:" + from + "\r\n" + field))
	return strings.Replace(field, "dkim-signature:", "DKIM-Signature: ", 1) +
		base64.StdEncoding.EncodeToString(ed25519.Sign(verifyKey, digest[:])) + "\r\nFrom: " + from + "\r\n\r\n" + body
}

// TestVerifyMail shows each step and the exit code of each outcome.
func TestVerifyMail(t *testing.T) {
	address := dnstest.Serve(t, verifyZone+`k._domainkey.example.com. 60 IN TXT "v=DKIM1; k=ed25519; p=`+
		base64.StdEncoding.EncodeToString(verifyKey.Public().(ed25519.PublicKey))+"\"\n").Address
	good := signedMail("A <a@example.com>", "text\r\n")
	const onTop = "Authentication-Results: mx.example.net;\r\n\tspf=none\r\nReceived: from x\r\n\tby mx1\r\n"
	const ours, foreign = "192.0.2.1", "198.51.100.7"
	for _, c := range []struct {
		name, client, helo, from, text string
		code                           int
		says                           []string
	}{
		{"pass", ours, "mx.example.com", "a@example.com", good, exitOK, []string{
			"iprev=pass  mx.example.com\n", "spf=pass  mailfrom example.com: include:spf.example.com matched\n",
			"    example.com  include:spf.example.com: pass\n", "      spf.example.com  ip4:192.0.2.0/24: pass\n",
			"    TXT  example.com  v=spf1 include:spf.example.com -all\n", "    PTR  192.0.2.1  mx.example.com\n",
			"dkim=pass  example.com, selector k, ed25519-sha256 relaxed/simple\n", "            from:A <a@example.com>\\r\\n\n",
			"named in h=, and not there: subject\n", "    body    6 of 6 bytes were hashed\n", ", as computed\n",
			"    b=      is of this header by this key\n", "dmarc=pass  From: example.com\n",
			"    spf     example.com: passed, aligned with From\n", "\naccept\n", "Authentication-Results: ", "; for this domain reject\n",
		}},
		{"LF alone", ours, "mx.example.com", "<a@example.com>", strings.ReplaceAll(good, "\r\n", "\n"), exitOK, []string{
			"read as if they ended in CRLF", "dkim=pass"}},
		{"changed body", foreign, "x", "", good + "footer\r\n", exitFail, []string{
			"dkim=fail  example.com, selector k, ed25519-sha256 relaxed/simple: body hash mismatch\n", " is signed,\n",
			" was computed: the body was changed, or is of another mail\n", "    b=      was not compared\n",
			"    dkim    example.com: fail\n", "    policy  reject; disposition quarantine, not reject: local_policy\n",
			"\nquarantine, by verify.policy.dmarc_reject\n", "    PTR  198.51.100.7  no such name\n",
		}},
		{"changed header", foreign, "x", "b@other.example", strings.Replace(good, "A <a", "B <a", 1), exitFail, []string{
			"signature mismatch\n", "    b=      is not of this header by this key: a field was changed, or the key\n",
			"spf=none  mailfrom other.example: "}},
		{"no policy", ours, "x", "", "From: a@nobody.example\r\n\r\n", exitNone, []string{"    record  none was found\n", "dkim=none  no signatures\n"}},
		{"p=none", ours, "x", "", "From: a@none.example\r\n\r\n", exitFail, []string{"    policy  none; disposition none\n"}},
		{"no answer", ours, "x", "", "From: a@broken.example\r\n\r\n", exitTemp, []string{"SERVFAIL"}},
		{"no author", ours, "x", "", "From: a\r\n\r\n", exitPerm, []string{"dmarc=permerror  malformed From\n"}},
		{"stored", ours, "x", "a@example.com", onTop + "X-Spoofed-Auth-Results: mx.example.net; none\r\n" + good, exitOK, []string{
			"mail   ", ", 3 fields in a header of ", "A gateway has stored it; it was read as it came", "       1 fields Authentication-Results", "dkim=pass"}},
		{"stored below an empty line", ours, "x", "a@example.com", onTop + "\r\nno field\r\n" + good, exitPerm, []string{
			"dmarc=permerror  no From field\n", "dkim=none", ", 0 fields in a header of 0\n", "A gateway has stored it"}},
		{"stored from an mbox", ours, "x", "a@example.com", onTop + "X-Mailbox-Line: From a\r\n" + good, exitOK, []string{"dkim=pass", ", 3 fields in"}},
		{"odd texts", ours, "\x1b[2J", "\x07@e", "From: a@example.com\r\n\r\n", exitFail, []string{`HELO \x1b[2J, MAIL FROM <\a@e>`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "mail.eml")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			out := verified(t, c.code, "--client-ip", c.client, "--helo", c.helo, "--mail-from", c.from, "--dns", address, file)
			for _, text := range c.says {
				if !strings.Contains(out, text) {
					t.Errorf("%q is not in %s", text, out)
				}
			}
			if strings.ContainsFunc(out, func(r rune) bool { return r > '~' || r < ' ' && r != '\n' && r != '\t' }) {
				t.Errorf("%q", out)
			}
			if n := strings.Count(out, "\n"); n > 50 {
				t.Errorf("%d lines:\n%s", n, out)
			}
			checkVerifyJSON(t, c.code, "--client-ip", c.client, "--helo", c.helo, "--mail-from", c.from, "--dns", address, "--json", file)
		})
	}
}

// verified runs sluice verify and returns what it says.
func verified(t *testing.T, code int, args ...string) string {
	t.Helper()
	var out strings.Builder
	a := app{env: []string{"SLUICE_VERIFY_AUTHSERV_ID=mx.example.net"}, out: &out, err: &out}
	if got := a.run(append([]string{"verify"}, args...)); got != code {
		t.Errorf("exit code %d, want %d: %s", got, code, &out)
	}
	return out.String()
}

// checkVerifyJSON checks that the JSON has the verdicts of an event.
func checkVerifyJSON(t *testing.T, code int, args ...string) {
	t.Helper()
	var report struct {
		Verdicts pipeline.Verdicts `json:"verdicts"`
		Field    string            `json:"authentication_results"`
		Lookups  []struct{ Type, Name string }
	}
	out := verified(t, code, args...)
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	word := map[int]string{exitOK: "pass", exitFail: "fail", exitNone: "none", exitTemp: "temperror", exitPerm: "permerror"}[code]
	if report.Verdicts.DMARC.Result != word || !strings.Contains(report.Field, "dmarc="+word) || len(report.Lookups) == 0 {
		t.Errorf("%s", out)
	}
}

// TestVerifyFlags shows which times are understood, and which flags are not.
func TestVerifyFlags(t *testing.T) {
	for text, want := range map[string]string{
		"1795780000": "2026-11-27T11:46:40Z", "2026-11-27T12:00:00Z": "2026-11-27T12:00:00Z", "2026-11-27T12:00:00+01:00": "2026-11-27T11:00:00Z",
	} {
		r, err := newMailReport(&verifyFlags{ClientIP: "::ffff:192.0.2.1", Now: text}, time.Now())
		if err != nil || r.Client.Now.Format(time.RFC3339) != want || r.Client.Address.String() != "192.0.2.1" {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
	}
	for _, flags := range [][]string{
		{"--client-ip", "mx.example.com", "--helo", "x", "--mail-from", "", "-"},
		{"--client-ip", "192.0.2.1", "--helo", "x", "--mail-from", "", "--now", "yesterday", "-"},
		{"--client-ip", "192.0.2.1", "--helo", "x", "--mail-from", "", "--dns", "a name", "/dev/null"},
		{"--client-ip", "192.0.2.1", "--helo", "x", "--mail-from", "", "/nowhere"},
	} {
		verified(t, exitFailure, flags...)
	}
	verified(t, exitUsage, "--client-ip", "192.0.2.1", "-")
}

package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice/internal/testkit/dnstest"
	"sluice/pipeline"
)

// strangers is the DNS of those who send.
const strangers = `
1.0.0.127.in-addr.arpa. 60 IN PTR client.example.com.
client.example.com. 60 IN A 127.0.0.1
refuses.example. 60 IN TXT "v=spf1 -all"
_dmarc.rejects.example. 60 IN TXT "v=DMARC1; p=reject"
_dmarc.quarantines.example. 60 IN TXT "v=DMARC1; p=quarantine"
`

// faulty are mails of which one thing is wrong each, by the key of verify.policy for it.
var faulty = []struct{ key, from, header string }{
	{"spf_fail", "a@refuses.example", "DKIM-Signature: x\r\nDKIM-Signature: y\r\nFrom: a@plain.example\r\n"},
	{"dmarc_reject", "a@plain.example", "From: a@rejects.example\r\n"},
	{"dmarc_quarantine", "a@plain.example", "From: a@quarantines.example\r\n"},
	{"bad_from", "a@plain.example", "Subject: no author\r\n"},
	{"temperror", "a@plain.example", "From: a@broken.example\r\n"},
}

// sendAs sends a mail and expects a reply at its end.
func (c *configured) sendAs(from, header, want string) {
	c.t.Helper()
	s := c.dial(c.t)
	s.Expect("220 ")
	fmt.Fprintf(s.Conn, "HELO client.example\r\nMAIL FROM:<%s>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n", from)
	s.Expect("250 ", "250 ", "250 ", "354 ")
	fmt.Fprintf(s.Conn, "%s\r\ntext\r\n.\r\nQUIT\r\n", header)
	s.Expect(want, "221 ")
}

// reloaded makes a section verify the present one.
func (c *configured) reloaded(verify string) {
	c.t.Helper()
	c.write(c.file, c.with("verify: {enabled: true"+verify+"}\n"))
	if status, text := c.reload(); status != http.StatusOK {
		c.t.Fatalf("%d %s", status, text)
	}
}

// TestVerifyReload has every key of verify, but for verify.enabled, hold from a reload on, and
// counts the verdicts.
func TestVerifyReload(t *testing.T) {
	dns := dnstest.Serve(t, strangers)
	c := launchListening(t, t.TempDir(), `[{address: "127.0.0.1:0"}]`, func(c *configured) string {
		c.base += fmt.Sprintf("accept: {domains: [example.net]}\ntrusted_networks: []\ndns: {resolvers: [%q], timeout: 1m}\n", dns.Address)
		return "verify: {enabled: true, deadline: 50s}\n"
	})
	all := func(but string) string {
		var policy []string
		for _, f := range faulty {
			action := pipeline.DispositionAccept
			if but == "" || f.key == but {
				action = pipeline.DispositionDefer
			}
			policy = append(policy, f.key+": "+action)
		}
		return ", deadline: 50s, policy: {" + strings.Join(policy, ", ") + "}"
	}
	for _, key := range faulty {
		c.reloaded(all(key.key))
		for _, f := range faulty {
			t.Log(f.key, "under", key.key)
			if f.key == key.key {
				c.sendAs(f.from, f.header, "451 4.7.0 ")
			} else {
				c.sendAs(f.from, f.header, "250 ")
			}
		}
	}
	for sample, want := range map[string]int{
		`results_total{check="spf",result="fail"}`: 5, `results_total{check="spf",result="none"}`: 20,
		`results_total{check="dkim",result="none"}`: 20, `results_total{check="dkim",result="neutral"}`: 10,
		`results_total{check="dmarc",result="none"}`: 5, `results_total{check="dmarc",result="fail"}`: 10,
		`results_total{check="dmarc",result="permerror"}`: 5, `results_total{check="dmarc",result="temperror"}`: 5,
		`results_total{check="iprev",result="pass"}`: 25,
		`dispositions_total{disposition="defer"}`:    5, `dispositions_total{disposition="accept"}`: 20,
		`overdue_total`: 0, `forged_fields_total`: 0, `in_flight`: 0,
	} {
		c.expectSample(t, fmt.Sprintf("sluice_verify_%s %d", sample, want))
	}

	c.write(c.file, c.with("verify: {enabled: false}\n"))
	if status, text := c.reload(); status != http.StatusUnprocessableEntity || !strings.Contains(text, "only a restart changes verify.enabled") {
		t.Errorf("turned off: %d %s", status, text)
	}
	c.sendAs(faulty[4].from, faulty[4].header, "451 4.7.0 ") // as before

	c.reloaded(all("") + ", exempt_domains: [client.example.com]")
	for _, f := range faulty {
		t.Log(f.key, "of an exempt client")
		if f.key == "bad_from" {
			c.sendAs(f.from, f.header, "451 4.7.0 ")
		} else {
			c.sendAs(f.from, f.header, "250 ")
		}
	}

	forged := func(host string) string {
		return "Authentication-Results: " + host + "; dmarc=pass\r\nFrom: a@plain.example\r\n"
	}
	c.sendAs("", forged("mx1.example.net"), "250 ")
	c.expectSample(t, "sluice_verify_forged_fields_total 1")
	c.reloaded(", authserv_id: mx.example.net")
	c.sendAs("", forged("mx1.example.net"), "250 ")
	c.expectSample(t, "sluice_verify_forged_fields_total 1")
	c.sendAs("", forged("mx.example.net")+forged("MX.example.net"), "250 ")
	c.expectSample(t, "sluice_verify_forged_fields_total 3")

	dns.Silent.Store(true)
	c.reloaded(", deadline: 200ms")
	began := time.Now()
	c.sendAs("a@unknown.example", "From: a@unknown.example\r\n", "250 ")
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the verdict came after %s", took)
	}
	c.expectSample(t, "sluice_verify_overdue_total 1")
	next := c.config
	next.Verify.Deadline = 7 * time.Second
	if g := c.generation(&next); g.Verdict != 9*time.Second {
		t.Errorf("a verdict is given up after %s", g.Verdict)
	}
}

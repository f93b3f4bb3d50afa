package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/process"
	"sluice/loadtest/stack"
	"sluice/pipeline"
)

// signedMail is a mail of alice@example.com that dkimpy has signed.
func signedMail(t *testing.T) string {
	t.Helper()
	mail, err := os.ReadFile("../gateway/verify/dkim/testdata/dkimpy-rsa-relaxed-relaxed-plain.eml")
	if err != nil {
		t.Fatal(err)
	}
	return string(mail)
}

// dkimpy signs or verifies a mail (testdata/dkimpy.py).
func dkimpy(t *testing.T, mail []byte, args ...string) (out []byte, err error) {
	t.Helper()
	python, err := stack.Installed("pyspf/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, append([]string{"testdata/dkimpy.py"}, args...)...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(mail), os.Stderr
	return cmd.Output()
}

// mailDNS is a resolver that knows the domains of these tests.
type mailDNS struct {
	*stack.UnboundServer
	key     string            // PEM, of s1._domainkey.large.test
	records map[string]string // key records, by name
}

// newMailDNS starts unbound with the domains of these tests. Nobody answers for silent.example.
func newMailDNS(t *testing.T) *mailDNS {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	d := &mailDNS{
		key: writeFile(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}))),
		records: map[string]string{
			"s1._domainkey.large.test": "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public),
		},
	}
	keys, err := os.ReadFile("../gateway/verify/dkim/testdata/keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(keys)) {
		selector, record, _ := strings.Cut(strings.TrimSpace(line), " ")
		d.records[selector+"._domainkey.example.com"] = record
	}
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	var config strings.Builder
	for _, zone := range []string{"example.com", "large.test", "other.test", "refuses.test", "quarantined.test", "_dmarc.test", "example.org"} {
		fmt.Fprintf(&config, "  local-zone: %q static\n", zone+".")
	}
	for name, text := range d.records {
		config.WriteString("  local-data: '" + name + ". TXT")
		for ; text != ""; text = text[min(len(text), 200):] {
			fmt.Fprintf(&config, " %q", text[:min(len(text), 200)])
		}
		config.WriteString("'\n")
	}
	config.WriteString("  local-zone: many.test. redirect\n") // each name below it has its records
	for _, record := range []string{
		`many.test. TXT "v=spf1 ip4:127.0.0.0/8 -all"`, `many.test. TXT "v=DMARC1; p=reject"`,
		`example.com. TXT "v=spf1 ip4:127.0.0.1 -all"`, `_dmarc.example.com. TXT "v=DMARC1; p=reject"`,
		`large.test. TXT "v=spf1 -all"`, `_dmarc.large.test. TXT "v=DMARC1; p=reject"`,
		`other.test. TXT "v=spf1 ip4:127.0.0.0/8 -all"`,
		`refuses.test. TXT "v=spf1 -all"`,
		`quarantined.test. TXT "v=spf1 -all"`, `_dmarc.quarantined.test. TXT "v=DMARC1; p=quarantine"`,
		`client.example.com. A 127.0.0.1`, `client.example.com. TXT "v=spf1 a -all"`,
		`1.0.0.127.in-addr.arpa. PTR client.example.com.`,
	} {
		fmt.Fprintf(&config, "  local-data: '%s'\n", record)
	}
	d.UnboundServer = stack.Unbound(t, config.String(), silent.LocalAddr().String())
	return d
}

// newVerifyingGateway makes a gateway verify what strangers send, and everybody one.
func newVerifyingGateway(t *testing.T, newGateway gatewayMaker, d *mailDNS, more string) *process.Sluice {
	t.Helper()
	gateway := newGateway(t)
	gateway.Trusted = "[192.0.2.1]"
	gateway.Config += fmt.Sprintf("dns: {resolvers: [%q], timeout: 500ms}\nverify: {enabled: true, deadline: 3s%s}\n", d.Address, more)
	return gateway
}

// verified is a mail and what becomes of it.
type verified struct {
	name, helo, from, content string
	spf, dkim, dmarc          string // results; of DKIM the first signature's
	disposition               string
	forged                    int
}

// send sends the mail as its client, and returns its id, or the reply that refuses it.
func (m *verified) send(t *testing.T, gateway *process.Sluice) (id string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := client.Dial(ctx, gateway.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Command(250, "EHLO "+cmp.Or(m.helo, "client.example.com")); err != nil {
		t.Fatal(err)
	}
	receipt, err := c.Send(&client.Mail{From: m.from, To: []string{"bob@example.net"}, Content: []byte(m.content)})
	return receipt.ID, err
}

// text returns a mail from an author, whose header begins with more.
func text(author, more string) string {
	return more + "From: " + author + "\r\nTo: bob@example.net\r\nSubject: verified\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n\r\ntext\r\n"
}

// verifies sends mails of all kinds: what is found out about each stands in its event and
// on top of what was stored, of which no other octet differs from what came.
func verifies(t *testing.T, newGateway gatewayMaker) {
	needs(t, "unbound")
	d := newMailDNS(t)
	gateway := newVerifyingGateway(t, newGateway, d, "")
	startGateway(t, gateway)
	signed := signedMail(t)
	large, err := dkimpy(t, []byte(text("a@large.test", "")+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 150_000)), "sign", "large.test", "s1", d.key)
	if err != nil {
		t.Fatal(err)
	}
	const forged = "AUTHENTICATION-results: (a \"comment\")\r\n\tmx1.\"example\".net; dmarc=pass\r\n"
	for _, m := range []verified{
		{"all pass", "", "alice@example.com", signed, "pass", "pass", "pass", "accept", 0},
		{"a null sender", "", "", signed, "pass", "pass", "pass", "accept", 0},
		{"forwarded", "", "a@other.test", signed, "pass", "pass", "pass", "accept", 0},
		{"with another text", "", "a@other.test", strings.Replace(signed, "Hello", "Hallo", 1), "pass", "fail", "fail", "quarantine", 0},
		{"quarantined", "", "a@quarantined.test", text("a@quarantined.test", ""), "fail", "none", "fail", "quarantine", 0},
		{"SPF alone", "", "a@refuses.test", text("a@refuses.test", ""), "fail", "none", "none", "accept", 0},
		{"nothing published", "", "a@nothing.other.test", text("a@nothing.other.test", ""), "none", "none", "none", "accept", 0},
		{"two authors", "", "alice@example.com", text("a@example.com", "From: b@other.test\r\n"), "pass", "none", "permerror", "accept", 0},
		{"forged", "", "alice@example.com", forged + signed, "pass", "pass", "pass", "accept", 1},
		{"below a line that is no field", "", "alice@example.com", "Buy here\r\n" + signed, "pass", "none", "permerror", "accept", 0},
		{"nobody answers", "", "a@silent.example", text("a@silent.example", ""), "temperror", "none", "temperror", "accept", 0},
		{"in parts", "", "a@large.test", string(large), "fail", "pass", "pass", "accept", 0},
		{"in parts, forged", "", "a@large.test", forged + string(large), "fail", "pass", "pass", "accept", 1},
		{"in parts, changed", "", "a@large.test", string(large) + "x\r\n", "fail", "fail", "fail", "quarantine", 0},
		{"a long header", "", "alice@example.com", strings.Repeat("X-Long: "+strings.Repeat("y", 900)+"\r\n", 300) + signed, "pass", "none", "permerror", "accept", 0},
	} {
		t.Run(m.name, func(t *testing.T) {
			id, err := m.send(t, gateway)
			if err != nil {
				t.Fatal(err)
			}
			_, events := inventory(t, gateway)
			e := events[id]
			if e == nil || e.Verdicts == nil {
				t.Fatalf("event %+v", e)
			}
			v := e.Verdicts
			dkim := "none"
			if len(v.DKIM) > 0 {
				dkim = v.DKIM[0].Result
			}
			got := m
			got.spf, got.dkim, got.dmarc, got.disposition, got.forged = v.SPF.Result, dkim, v.DMARC.Result, v.Disposition, v.Forged
			if got != m || v.IPRev.Name != "client.example.com" {
				t.Errorf("%+v", v)
			}
			whole := readObject(t, gateway, e)
			m.stored(t, whole, e)
			if record := d.records[selectorOf(m.content)]; dkim == "pass" && record != "" {
				if _, err := dkimpy(t, whole, "verify", selectorOf(m.content), record); err != nil {
					t.Errorf("dkimpy on what was stored: %v", err)
				}
			}
		})
	}
	if got := metric(t, gateway, "sluice_verify_forged_fields_total"); got != 2 {
		t.Errorf("%v forged fields are counted", got)
	}
	if got := metric(t, gateway, `sluice_verify_results_total{check="dmarc",result="pass"}`); got < 5 {
		t.Errorf("dmarc=pass is counted %v times", got)
	}
}

// selectorOf returns the name of the key by which a mail is signed.
func selectorOf(content string) string {
	switch {
	case strings.Contains(content, "d=large.test"):
		return "s1._domainkey.large.test"
	case strings.Contains(content, "d=example.com"):
		return "rsa._domainkey.example.com"
	}
	return ""
}

// stored checks a stored mail: Authentication-Results on top, and then every octet that was
// sent, but for the names of forged fields.
func (m *verified) stored(t *testing.T, whole []byte, e *pipeline.Event) {
	t.Helper()
	added, octets := string(whole[:e.Blob.Added]), string(whole[e.Blob.Added:])
	for _, want := range []string{"dmarc=" + m.dmarc, "spf=" + m.spf, "iprev=pass", "\r\nReceived: from client.example.com (client.example.com [127.0.0.1])"} {
		if !strings.HasPrefix(added, "Authentication-Results: mx1.example.net;") || !strings.Contains(added, want) {
			t.Errorf("no %q in %q", want, added)
		}
	}
	want := m.content
	if m.forged > 0 {
		want = strings.Replace(want, "AUTHENTICATION-results", "X-Spoofed-Auth-Results", 1)
	}
	if octets != want {
		t.Errorf("the stored message has %d octets and is another than the %d that were sent", len(octets), len(want))
	}
}

// TestVerifiedMail does so on the embedded default.
func TestVerifiedMail(t *testing.T) {
	t.Parallel()
	verifies(t, newGateway)
}

// verifiedPacks has what is written on top of messages in packs counted in their offsets.
func verifiedPacks(t *testing.T, newGateway gatewayMaker) {
	needs(t, "unbound")
	d := newMailDNS(t)
	var gateway *process.Sluice
	packsRead(t, func(t *testing.T) *process.Sluice {
		gateway = newVerifyingGateway(t, newGateway, d, "")
		return gateway
	})
	if got := metric(t, gateway, `sluice_verify_results_total{check="spf",result="none"}`); got != 1000 {
		t.Errorf("%v of 1000 messages were verified", got)
	}
}

// TestVerifyPolicy refuses what the operator wants refused, and stores nothing of it.
func TestVerifyPolicy(t *testing.T) {
	t.Parallel()
	needs(t, "unbound")
	d := newMailDNS(t)
	gateway := newVerifyingGateway(t, newGateway, d,
		", policy: {spf_fail: reject, dmarc_reject: reject, dmarc_quarantine: defer, bad_from: reject, temperror: defer}, exempt_domains: [lists.other.test]")
	startGateway(t, gateway)
	signed := signedMail(t)
	for _, test := range []struct{ name, from, content, want string }{
		{"DMARC", "a@other.test", text("alice@example.com", ""), "550 5.7.1 "},
		{"DMARC, large", "a@other.test", text("alice@example.com", "") + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 150_000), "550 5.7.1 "},
		{"SPF", "a@refuses.test", text("a@refuses.test", ""), "550 5.7.23 "},
		{"quarantine is put off", "a@other.test", text("a@quarantined.test", ""), "451 4.7.0 "},
		{"no author", "alice@example.com", text("a@example.com", "From: b@other.test\r\n"), "550 5.7.1 "},
		{"SPF is not known", "a@silent.example", text("a@silent.example", ""), "451 4.7.24 "},
		{"all passes", "alice@example.com", signed, ""},
	} {
		m := verified{from: test.from, content: test.content}
		_, err := m.send(t, gateway)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if test.want == "" && err != nil || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if strings.HasPrefix(test.name, "DMARC") && (!strings.Contains(got, "DMARC") || !strings.Contains(got, "example.com")) {
			t.Errorf("%s: the reply %q does not say whose policy refuses it", test.name, got)
		}
	}
	if _, events := inventory(t, gateway); len(events) != 1 {
		t.Errorf("%d events, want 1", len(events))
	}
}

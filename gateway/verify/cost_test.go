package verify_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sluice/gateway/resolver"
	"sluice/gateway/verify"
	"sluice/internal/testkit"
	"sluice/internal/testkit/dnstest"
)

// TestAllChecksCostLittle compares all checks of a mail of 10 KiB with one RSA signature,
// whose answers the cache has, with what must be done at least: one RSA verification and
// one hash of its bytes. The bound is loose; the log has the figures.
func TestAllChecksCostLittle(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	header, body := signedByRSA(t, key)
	r, err := resolver.New(resolver.Options{Servers: []string{dnstest.Serve(t, zoneOf(t, key)).Address}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	o := options()
	all := func() {
		e := verify.Begin(&o, verify.Claim{
			Client: netip.MustParseAddr(good), Helo: "mx.example.com", MailFrom: "a@example.com", Now: now, DNS: r.Lookups(100),
		})
		e.CheckSPF(t.Context())
		e.CheckName(t.Context())
		e.Header([][]byte{header}, false)
		e.Write(body)
		if v := e.End(t.Context()).Verdicts; v.DMARC.Result != "pass" || v.DKIM[0].Result != "pass" || v.SPF.Result != "pass" || v.IPRev.Result != "pass" {
			t.Fatalf("%+v", v)
		}
	}
	whole := append(append([]byte{}, header...), body...)
	digest := sha256.Sum256(whole)
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	bare := func() {
		digest := sha256.Sum256(whole)
		if rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature) != nil {
			t.Fatal("not valid")
		}
	}
	all() // fills the cache
	best, least := time.Hour, time.Hour
	for range 3 {
		best = min(best, testkit.CPU(t, 50, all))
		least = min(least, testkit.CPU(t, 50, bare))
	}
	t.Logf("%v, at least %v: %.2f times", best, least, float64(best)/float64(least))
	if best > 100*least {
		t.Errorf("all checks cost %v, one RSA verification and one hash %v", best, least)
	}
}

// signedByRSA returns the header and the body of a mail of 10 KiB, signed in relaxed form.
func signedByRSA(t *testing.T, key *rsa.PrivateKey) (header, body []byte) {
	t.Helper()
	from := "From: a@example.com\r\nTo: b@example.net\r\nSubject: A mail\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n"
	body = []byte(strings.Repeat("Some text of an ordinary mail, in lines.\r\n", 10<<10/42))
	hash := sha256.Sum256(body)
	field := "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=rsa; h=from:to:subject:date; bh=" +
		base64.StdEncoding.EncodeToString(hash[:]) + "; b="
	signed := strings.NewReplacer("From: ", "from:", "To: ", "to:", "Subject: ", "subject:", "Date: ", "date:",
		"DKIM-Signature: ", "dkim-signature:").Replace(from + field)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return []byte(field + base64.StdEncoding.EncodeToString(signature) + "\r\n" + from + "\r\n"), body
}

// zoneOf returns the DNS of the mail's domain.
func zoneOf(t *testing.T, key *rsa.PrivateKey) string {
	t.Helper()
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(public)
	return `
example.com. 3600 IN TXT "v=spf1 ip4:192.0.2.0/24 -all"
mx.example.com. 3600 IN TXT "v=spf1 a -all"
mx.example.com. 3600 IN A 192.0.2.1
1.2.0.192.in-addr.arpa. 3600 IN PTR mx.example.com.
_dmarc.example.com. 3600 IN TXT "v=DMARC1; p=reject; psd=n"
rsa._domainkey.example.com. 3600 IN TXT "v=DKIM1; p=` + text[:200] + `" "` + text[200:] + `"
`
}

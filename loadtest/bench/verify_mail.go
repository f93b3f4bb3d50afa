package bench

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
)

// signer signs mails by RSA-2048.
type signer struct {
	key    *rsa.PrivateKey
	public string // in a key record
}

func newSigner() (*signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	return &signer{key, base64.StdEncoding.EncodeToString(public)}, err
}

// domainOf is the name of the n-th domain that sends.
func domainOf(n int) string { return fmt.Sprintf("d%d.test", n) }

// sign returns a mail of about so many bytes that a domain has signed, relaxed/relaxed. Up
// to 64 KiB it is text in words, else base64. Its body is in canonical form.
func (s *signer) sign(domain string, size int) string {
	line := "Some text of an ordinary mail, in words and lines of usual length.\r\n"
	if size > 64<<10 {
		line = strings.Repeat("aB3+", 19) + "\r\n"
	}
	body := strings.Repeat(line, size/len(line))
	fields := [][2]string{
		{"From", "sender@" + domain},
		{"To", "recipient@example.net"},
		{"Subject", "A mail that is signed"},
		{"Date", "Fri, 27 Nov 2026 12:00:00 +0000"},
		{"Message-ID", "<1@" + domain + ">"},
	}
	hash := sha256.Sum256([]byte(body))
	signature := [2]string{
		"DKIM-Signature", "v=1; a=rsa-sha256; c=relaxed/relaxed; d=" + domain +
			"; s=s1; h=from:to:subject:date:message-id; bh=" + base64.StdEncoding.EncodeToString(hash[:]) + "; b=",
	}
	var header, canonical strings.Builder
	for _, f := range fields {
		header.WriteString(f[0] + ": " + f[1] + "\r\n")
		canonical.WriteString(strings.ToLower(f[0]) + ":" + f[1] + "\r\n")
	}
	canonical.WriteString(strings.ToLower(signature[0]) + ":" + signature[1])
	digest := sha256.Sum256([]byte(canonical.String()))
	signed, err := rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, digest[:])
	if err != nil {
		panic(err) // the key is long enough
	}
	return signature[0] + ": " + signature[1] + base64.StdEncoding.EncodeToString(signed) + "\r\n" +
		header.String() + "\r\n" + body
}

// zones is what unbound has to say of all domains and of the client, with one TTL.
func (s *signer) zones(ttl int) string {
	var b strings.Builder
	zone := func(name string) {
		fmt.Fprintf(&b, "  local-zone: %q static\n", name)
		fmt.Fprintf(&b, "  local-data: '%s %d SOA ns.%s root.%s 1 3600 600 86400 %[2]d'\n", name, ttl, name, name)
	}
	data := func(name, kind, value string) {
		fmt.Fprintf(&b, "  local-data: '%s %d %s %s'\n", name, ttl, kind, value)
	}
	zone("_dmarc.test.")
	zone("example.org.")
	data("client.example.org.", "A", "127.0.0.1")
	data("client.example.org.", "TXT", `"v=spf1 a -all"`)
	data("1.0.0.127.in-addr.arpa.", "PTR", "client.example.org.")
	for n := range timedSessions {
		name := domainOf(n) + "."
		zone(name)
		data(name, "TXT", `"v=spf1 ip4:192.0.2.0/24 include:spf.`+name+` -all"`)
		data("spf."+name, "TXT", `"v=spf1 ip4:127.0.0.0/8 -all"`)
		data("_dmarc."+name, "TXT", `"v=DMARC1; p=reject"`)
		data("s1._domainkey."+name, "TXT", `"v=DKIM1; p=`+s.public[:200]+`" "`+s.public[200:]+`"`)
	}
	return b.String()
}

func withoutCR(mail string) []byte { return bytes.ReplaceAll([]byte(mail), []byte("\r"), nil) }

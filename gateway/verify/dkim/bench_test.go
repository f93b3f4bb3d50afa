package dkim_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
)

// benchMail returns a mail of 10 KiB with one signature by RSA-2048, relaxed in both, and
// its key.
func benchMail(tb testing.TB) ([]byte, zone) {
	tb.Helper()
	k := benchKey(tb)
	public, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		tb.Fatal(err)
	}
	z := zone{"k._domainkey.example.com": {"v=DKIM1; p=" + base64.StdEncoding.EncodeToString(public)}}
	from := "From: a@example.com\r\nTo: b@example.net\r\nSubject: A mail\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n"
	body := strings.Repeat("Some text of an ordinary mail, in lines.\r\n", 10<<10/42)
	hash := sha256.Sum256([]byte(body))
	field := "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=k; h=from:to:subject:date; bh=" +
		base64.StdEncoding.EncodeToString(hash[:]) + "; b="
	signed := strings.NewReplacer("From: ", "from:", "To: ", "to:", "Subject: ", "subject:", "Date: ", "date:",
		"DKIM-Signature: ", "dkim-signature:").Replace(from + field)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:])
	if err != nil {
		tb.Fatal(err)
	}
	return []byte(field + base64.StdEncoding.EncodeToString(signature) + "\r\n" + from + "\r\n" + body), z
}

func benchKey(tb testing.TB) *rsa.PrivateKey {
	tb.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// bareCost returns what a mail costs at least: one verification by RSA and one hash over
// its bytes.
func bareCost(tb testing.TB, mail []byte) func() {
	tb.Helper()
	k := benchKey(tb)
	digest := sha256.Sum256(mail)
	signature, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:])
	if err != nil {
		tb.Fatal(err)
	}
	return func() {
		digest := sha256.Sum256(mail)
		if rsa.VerifyPKCS1v15(&k.PublicKey, crypto.SHA256, digest[:], signature) != nil {
			tb.Fatal("not valid")
		}
	}
}

// BenchmarkBare is what a mail costs at least.
func BenchmarkBare(b *testing.B) {
	mail, _ := benchMail(b)
	for f := bareCost(b, mail); b.Loop(); {
		f()
	}
}

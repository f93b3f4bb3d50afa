package content

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// benchMail is a mail with a short text, also as HTML, and an attachment.
func benchMail(attachment int) []byte {
	body := make([]byte, attachment)
	for i := range body {
		body[i] = byte(rand.Uint32()) //nolint:gosec // any bytes do
	}
	var b bytes.Buffer
	b.WriteString("Message-ID: <1@x>\r\nFrom: =?utf-8?q?M=C3=BCller?= <m@example.com>\r\nTo: a@example.net, \"B, C\" <b@example.net>\r\n" +
		"Subject: =?utf-8?B?" + b64("Größe der Lieferung") + "?=\r\nDate: Mon, 2 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n" +
		strings.Repeat("Received: from mx.example.com (mx.example.com [192.0.2.1])\r\n\tby mx.example.net with ESMTPS id 4711; Mon, 2 Nov 2026 10:00:00 +0100\r\n", 5) +
		"Content-Type: multipart/mixed; boundary=\"=_outer\"\r\n\r\n--=_outer\r\nContent-Type: multipart/alternative; boundary=\"=_inner\"\r\n\r\n" +
		"--=_inner\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + strings.Repeat("Gr=C3=BC=C3=9Fe aus der Stadt, und bis bald\r\n", 20) +
		"--=_inner\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body>" + strings.Repeat("<p>Some text of a mail, <b>and</b> more</p>\r\n", 30) + "</body></html>\r\n--=_inner--\r\n" +
		"--=_outer\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Disposition: attachment; filename=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	encoded := base64.StdEncoding.EncodeToString(body)
	for len(encoded) > 0 {
		n := min(76, len(encoded))
		b.WriteString(encoded[:n] + "\r\n")
		encoded = encoded[n:]
	}
	b.WriteString("--=_outer--\r\n")
	return b.Bytes()
}

// BenchmarkRead reads a mail of about 10 KiB and one with an attachment of 30 MiB. What
// SHA-256 alone takes of the same bytes stands beside it.
func BenchmarkRead(b *testing.B) {
	for name, attachment := range map[string]int{"10KiB": 5 << 10, "30MiB": 30 << 20} {
		mail := benchMail(attachment)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(mail)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Read(bytes.NewReader(mail), 4<<10); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/sha256", func(b *testing.B) {
			b.SetBytes(int64(len(mail)))
			b.ReportAllocs()
			for b.Loop() {
				_, _ = io.Copy(sha256.New(), bytes.NewReader(mail))
			}
		})
	}
}

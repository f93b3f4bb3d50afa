package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// oddMail is a mail that has broken mail servers.
type oddMail struct {
	name    string
	content []byte
}

// header is what a server of another kind leaves as it is: nothing is missing.
func header(name string) string {
	return "From: <sender@example.org>\r\nTo: <recipient@example.net>\r\nSubject: " + name + "\r\n" +
		"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <" + name + "@example.org>\r\n"
}

// oddMails returns those that every client can send as they are. The attachment leaves
// a store that takes parts of 5 MiB in two of them.
func oddMails() []oddMail {
	return []oddMail{
		{"empty body", []byte(header("empty") + "\r\n")},
		{"a blank line", []byte(header("blank") + "\r\n\r\n")},
		{"lines of dots", []byte(header("dots") + "\r\n.\r\n..\r\n...\r\n.x\r\nx.\r\n.\r\n.\r\n")},
		{"8-bit", []byte(header("eight") + "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße aus Žilina, 日本語\r\n")},
		attachment(6 << 20),
	}
}

// attachment returns a mail with so many bytes in base64.
func attachment(size int) oddMail {
	text := header(fmt.Sprintf("attachment-%d", size)) +
		"MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	return oddMail{fmt.Sprintf("%d MiB attachment", size>>20), append([]byte(text), base64Lines(size)...)}
}

// rareMails are those that some clients or servers would change on the way.
func rareMails() []oddMail {
	return []oddMail{
		{"header only", []byte(header("header"))},
		{"line over 998", []byte(header("long") + "\r\n" + strings.Repeat("long ", 2000) + "\r\n" + strings.Repeat("x", 100000) + "\r\n")},
		{"octets of all values", append(append([]byte(header("octets")+"\r\n"), everyOctet()...), "\r\n"...)},
	}
}

// everyOctet is each value but CR and LF, which are not bytes of a line.
func everyOctet() []byte {
	var all []byte
	for value := 1; value < 256; value++ {
		if value != '\r' && value != '\n' {
			all = append(all, byte(value))
		}
	}
	return all
}

func base64Lines(octets int) []byte {
	plain := make([]byte, octets)
	for i := range plain {
		plain[i] = byte(i * i >> 7)
	}
	text := base64.StdEncoding.EncodeToString(plain)
	var b bytes.Buffer
	for ; len(text) > 76; text = text[76:] {
		b.WriteString(text[:76] + "\r\n")
	}
	b.WriteString(text + "\r\n")
	return b.Bytes()
}

// file puts a mail into a file for a client to send.
func (m *oddMail) file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mail")
	if err := os.WriteFile(path, m.content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// stored checks that exactly these mails were stored, each once, to the byte.
// before takes away what a relay in between wrote on top.
func stored(t *testing.T, messages map[string][]byte, mails []oddMail, before func([]byte) []byte) {
	t.Helper()
	left := map[[sha256.Size]byte]string{}
	for _, mail := range mails {
		left[sha256.Sum256(mail.content)] = mail.name
	}
	for id, message := range messages {
		digest := sha256.Sum256(before(message))
		name, ok := left[digest]
		if !ok {
			t.Errorf("%s was stored twice or not sent so: %s", id, excerpt(message))
		}
		delete(left, digest)
		_ = name
	}
	for _, name := range left {
		t.Errorf("%s: not stored as it was sent", name)
	}
}

func asIs(message []byte) []byte { return message }

func excerpt(message []byte) string {
	if len(message) > 600 {
		return fmt.Sprintf("%q… (%d octets)", message[:600], len(message))
	}
	return fmt.Sprintf("%q", message)
}

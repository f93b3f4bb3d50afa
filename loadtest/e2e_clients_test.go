package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"sluice/loadtest/client"
	"sluice/loadtest/process"
)

// Our own client puts every byte on the wire as it is, so it can send what
// others would mend.
func TestOddMails(t *testing.T) {
	t.Parallel()
	takesOddMails(t, newGateway)
}

func takesOddMails(t *testing.T, newGateway gatewayMaker) {
	needs(t)
	gateway := newGateway(t)
	startGateway(t, gateway)
	mails := append(append(oddMails(), rareMails()...), oddMail{"nothing at all", nil}, attachment(30<<20))
	c, err := client.Dial(t.Context(), gateway.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	receipts := map[string]client.Receipt{}
	for _, mail := range mails {
		receipt, err := c.Send(&client.Mail{From: "sender@example.org", To: []string{"recipient@example.net"}, Content: mail.content})
		if err != nil {
			t.Fatalf("%s: %v", mail.name, err)
		}
		receipts[receipt.ID] = receipt
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	messages, events := inventory(t, gateway)
	stored(t, messages, mails, asIs)
	for id, receipt := range receipts {
		if e, ok := events[id]; !ok || e.Message.Size != receipt.Size {
			t.Errorf("answered 250 for %s with %d octets, announced %+v", id, receipt.Size, e.Message)
		}
	}
}

// sourceMessages is how many messages smtp-source sends in each of its modes. By then
// each of its 50 sessions has been used again many times; make drill sends 10,000.
var sourceMessages = flag.Int("messages", 1000, "messages that smtp-source sends")

func TestSmtpSource(t *testing.T) {
	t.Parallel()
	takesSMTPSource(t, newGateway)
}

func takesSMTPSource(t *testing.T, newGateway gatewayMaker) {
	for _, mode := range []struct {
		name  string
		flags []string
	}{{"reused connections", []string{"-d"}}, {"a connection per message", nil}} {
		t.Run(mode.name, func(t *testing.T) {
			needs(t, "smtp-source")
			count := *sourceMessages
			gateway := newGateway(t)
			startGateway(t, gateway)
			command(t, "smtp-source", append(mode.flags, "-s", "50", "-m", strconv.Itoa(count), "-l", "10240",
				"-f", "sender@example.org", "-t", "recipient@example.net", gateway.SMTP)...)
			messages, events := inventory(t, gateway)
			if len(messages) != count {
				t.Errorf("%d messages of %d", len(messages), count)
			}
			// The header differs in the Message-Id; the body is the same in all.
			ids, body := map[string]bool{}, sourceBody(10240)
			for id, message := range messages {
				ids[events[id].Message.MessageID] = true
				_, rest, found := bytes.Cut(message, []byte("\r\n\r\n"))
				if !found || !bytes.Equal(rest, body) {
					t.Fatalf("%s: %s", id, excerpt(message))
				}
			}
			if len(ids) != count {
				t.Errorf("%d different Message-Ids in %d messages", len(ids), count)
			}
		})
	}
}

// sourceBody is what smtp-source sends for -l size, a multiple of 80: lines of 80
// bytes that begin with their number's last digit, the last all of X with its
// CRLF behind the size.
func sourceBody(size int) []byte {
	var b bytes.Buffer
	for number := 1; b.Len() < size-80; number++ {
		b.WriteString(strconv.Itoa(number%10) + strings.Repeat("X", 77) + "\r\n")
	}
	b.WriteString(strings.Repeat("X", 80) + "\r\n")
	return b.Bytes()
}

func TestCurl(t *testing.T) {
	t.Parallel()
	takesCurl(t, newGateway)
}

func takesCurl(t *testing.T, newGateway gatewayMaker) {
	needs(t, "curl")
	gateway := newGateway(t)
	startGateway(t, gateway)
	mails := append(oddMails(), rareMails()...)
	for _, mail := range mails {
		command(t, "curl", "--silent", "--show-error", "smtp://"+gateway.SMTP+"/client.example.org",
			"--mail-from", "sender@example.org", "--mail-rcpt", "recipient@example.net", "--upload-file", mail.file(t))
	}
	messages, events := inventory(t, gateway)
	stored(t, messages, mails, asIs)
	for id, e := range events {
		if e.Client.Helo != "client.example.org" || e.Envelope.MailFrom != "sender@example.org" ||
			len(e.Envelope.RcptTo) != 1 || e.Envelope.RcptTo[0] != "recipient@example.net" {
			t.Errorf("%s: %+v %+v", id, e.Client, e.Envelope)
		}
	}
}

// smtplib sends as it is what it is given as bytes.
const pythonSender = `
import smtplib, sys
host, port = sys.argv[1].split(":")
with smtplib.SMTP(host, int(port)) as server:
    for path in sys.argv[2:]:
        with open(path, "rb") as mail:
            refused = server.sendmail("sender@example.org", ["recipient@example.net"], mail.read(), ["BODY=8BITMIME"])
        assert not refused, refused
`

func TestPythonSmtplib(t *testing.T) {
	t.Parallel()
	takesPython(t, newGateway)
}

func takesPython(t *testing.T, newGateway gatewayMaker) {
	needs(t, "python3")
	gateway := newGateway(t)
	startGateway(t, gateway)
	mails := append(oddMails(), rareMails()...)
	args := []string{"-c", pythonSender, gateway.SMTP}
	for _, mail := range mails {
		args = append(args, mail.file(t))
	}
	command(t, "python3", args...)
	messages, _ := inventory(t, gateway)
	stored(t, messages, mails, asIs)
}

// swaks composes the mail itself; kcat, a client in C, reads its event.
func TestSwaksAndKcat(t *testing.T) {
	t.Parallel()
	takesSwaks(t, newGateway)
}

func takesSwaks(t *testing.T, newGateway gatewayMaker) {
	needs(t, "swaks", "kcat")
	gateway := newGateway(t)
	startGateway(t, gateway)
	host, port, _ := strings.Cut(gateway.SMTP, ":")
	said := command(t, "swaks", "--server", host, "--port", port, "--helo", "client.example.org", "--from", "sender@example.org",
		"--to", "one@example.net,two@example.net", "--h-Subject", "Grüße", "--body", ".\n..\nlast line")
	messages, events := inventory(t, gateway)
	if len(messages) != 1 {
		t.Fatalf("%d messages", len(messages))
	}
	for id, message := range messages {
		if !strings.Contains(said, "250 2.0.0 Ok "+id) {
			t.Errorf("swaks was not told %s:\n%s", id, said)
		}
		if !bytes.Contains(message, []byte("\r\nSubject: Grüße\r\n")) || !bytes.Contains(message, []byte("\r\n\r\n.\r\n..\r\nlast line\r\n")) {
			t.Errorf("stored: %s", excerpt(message))
		}
		if to := events[id].Envelope.RcptTo; len(to) != 2 || to[0] != "one@example.net" || to[1] != "two@example.net" {
			t.Errorf("recipients %+v", to)
		}
		seenByKcat(t, gateway, id)
	}
}

// seenByKcat checks the one record of the topic as kcat prints it.
func seenByKcat(t *testing.T, gateway *process.Sluice, id string) {
	t.Helper()
	out := command(t, "kcat", "-C", "-b", gateway.Events, "-t", gateway.Topic, "-e", "-q", "-J")
	var record struct {
		Key     string   `json:"key"`
		Headers []string `json:"headers"` // key, value, key, value, …
		Payload string   `json:"payload"`
	}
	if err := json.Unmarshal([]byte(out), &record); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	headers := map[string]string{}
	for i := 0; i+1 < len(record.Headers); i += 2 {
		headers[record.Headers[i]] = record.Headers[i+1]
	}
	for key, want := range map[string]string{
		"ce_specversion": "1.0", "ce_type": "sluice.mail.received.v1", "ce_id": id, "content-type": "application/json",
	} {
		if headers[key] != want {
			t.Errorf("header %s is %q, not %q", key, headers[key], want)
		}
	}
	if record.Key != id || !strings.HasPrefix(record.Payload, fmt.Sprintf(`{"id":%q,`, id)) {
		t.Errorf("key %q, value %s", record.Key, record.Payload)
	}
}

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/loadtest/child"
	"sluice/loadtest/client"
	"sluice/loadtest/peers"
)

// A real Postfix takes mail, queues it, and relays it to Sluice.
func TestPostfixRelays(t *testing.T) { takesPostfix(t, newGateway) }

func takesPostfix(t *testing.T, newGateway gatewayMaker) {
	needs(t, "postfix", "postconf")
	if os.Getuid() != 0 {
		t.Skip("Postfix starts only as root")
	}
	gateway := newGateway(t)
	startGateway(t, gateway)
	relay := startPostfix(t, gateway.SMTP)
	// Postfix would fold a line over 998 and mend a header without a blank line:
	// those are not for this way.
	mails := oddMails()
	c, err := client.Dial(t.Context(), relay)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, mail := range mails {
		m := &client.Mail{From: "sender@example.org", To: []string{"recipient@example.net"}}
		if err := c.Begin(m); err != nil {
			t.Fatalf("%s: %v", mail.name, err)
		}
		// Postfix answers with a queue id of its own, which is not a receipt.
		if err := c.Content(mail.content); err != nil {
			t.Fatalf("%s: %v", mail.name, err)
		}
		if reply, err := c.ReadReply(); err != nil || reply.Code != 250 {
			t.Fatalf("%s: %v %v", mail.name, reply, err)
		}
	}
	eventually(t, "Postfix has relayed all", func() bool { return len(topic(t, gateway)) >= len(mails) })
	messages, events := inventory(t, gateway)
	stored(t, messages, mails, belowPostfix)
	for id, e := range events {
		if e.Client.Protocol != "ESMTP" || e.Envelope.MailFrom != "sender@example.org" {
			t.Errorf("%s: %+v %+v", id, e.Client, e.Envelope)
		}
	}
}

// belowPostfix takes away the Received field that Postfix wrote on top.
func belowPostfix(message []byte) []byte {
	text := string(message)
	if !strings.HasPrefix(text, "Received: ") {
		return message
	}
	for end := 0; ; {
		at := strings.Index(text[end:], "\r\n")
		if at < 0 {
			return message
		}
		end += at + 2
		if end == len(text) || text[end] != ' ' && text[end] != '\t' {
			return message[end:]
		}
	}
}

// startPostfix starts an instance of its own on loopback that relays everything
// to the given address, and gives its own.
func startPostfix(t *testing.T, to string) string {
	t.Helper()
	address, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	// t.TempDir is closed to the user postfix, so this is another one.
	dir, err := os.MkdirTemp("", "sluice-postfix-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	// Postfix writes logs only below a few folders, of which this is one.
	log := filepath.Join("/var/log", filepath.Base(dir)+".log")
	t.Cleanup(func() { os.Remove(log) })
	host, port, _ := strings.Cut(to, ":")
	relay := &peers.Postfix{Dir: dir, Log: log, Address: address, Processes: 100, Settings: "relayhost = [" + host + "]:" + port + "\n"}
	if err := relay.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stopping, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := relay.Stop(stopping); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			said, _ := os.ReadFile(log)
			t.Logf("Postfix said:\n%s", said)
		}
	})
	eventually(t, "Postfix listens", func() bool {
		c, err := client.Dial(t.Context(), address)
		if err == nil {
			_ = c.Quit()
		}
		return err == nil
	})
	return address
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/loadtest/client"
	"sluice/loadtest/peers"
	"sluice/loadtest/process"
	"sluice/pipeline"
)

// A real Postfix takes mail, queues it, and relays it to Sluice.
func TestPostfixRelays(t *testing.T) {
	t.Parallel()
	takesPostfix(t, newGateway)
}

func takesPostfix(t *testing.T, newGateway gatewayMaker) {
	needs(t, "postfix", "postconf")
	testkit.Root(t, "Postfix starts only as root")
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
	awaitEvents(t, gateway, len(mails))
	messages, events := inventory(t, gateway)
	stored(t, messages, mails, belowPostfix)
	for id, e := range events {
		if e.Client.Protocol != "ESMTP" || e.Envelope.MailFrom != "sender@example.org" {
			t.Errorf("%s: %+v %+v", id, e.Client, e.Envelope)
		}
	}
}

// A message for 1,500 recipients is for more than Sluice takes at a time: Postfix sends
// the rest in another transaction (RFC 5321 §4.5.3.1.10), and no session ends over it.
func TestPostfixSendsManyRecipients(t *testing.T) {
	t.Parallel()
	needs(t, "postfix", "postconf")
	testkit.Root(t, "Postfix starts only as root")
	gateway := newGateway(t)
	startGateway(t, gateway)
	relay := newPostfix(t, gateway.SMTP, "smtpd_recipient_limit = 2000", "default_destination_recipient_limit = 2000",
		"queue_run_delay = 1s", "minimal_backoff_time = 1s", "smtp_destination_concurrency_failed_cohort_limit = 0")
	c, err := client.Dial(t.Context(), relay.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m := &client.Mail{From: "sender@example.org"}
	const recipients = 1500
	for i := range recipients {
		m.To = append(m.To, fmt.Sprintf("r%d@example.net", i))
	}
	if err := c.Begin(m); err != nil {
		t.Fatal(err)
	}
	if err := c.Content([]byte(header("many") + "\r\ntext\r\n")); err != nil {
		t.Fatal(err)
	}
	if reply, err := c.ReadReply(); err != nil || reply.Code != 250 {
		t.Fatalf("%v %v", reply, err)
	}
	reached := map[string]int{}
	testkit.Eventually(t, "all recipients are reached", func() bool {
		if err := relay.Flush(t.Context()); err != nil { // its own next attempt may be a minute away
			t.Fatal(err)
		}
		clear(reached)
		for _, record := range topic(t, gateway) {
			e, err := pipeline.ParseEvent(record.Value)
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range e.Envelope.RcptTo {
				reached[to]++
			}
		}
		return len(reached) == recipients
	})
	for to, n := range reached {
		if n != 1 {
			t.Errorf("%s was reached %d times", to, n)
		}
	}
	if n := len(topic(t, gateway)); n != 2 {
		t.Errorf("%d messages, want 2", n)
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
func startPostfix(t *testing.T, to string, settings ...string) string {
	t.Helper()
	return newPostfix(t, to, settings...).Address
}

// newPostfix is startPostfix for who needs more of it.
func newPostfix(t *testing.T, to string, settings ...string) *peers.Postfix {
	t.Helper()
	address, err := process.FreeAddress()
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
	relay := &peers.Postfix{Dir: dir, Log: log, Address: address, Processes: 100, Settings: "relayhost = [" + host + "]:" + port + "\n" + strings.Join(settings, "\n") + "\n"}
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
	testkit.Eventually(t, "Postfix listens", func() bool {
		c, err := client.Dial(t.Context(), address)
		if err == nil {
			_ = c.Quit()
		}
		return err == nil
	})
	return relay
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/loadtest/child"
	"sluice/loadtest/client"
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
	configurePostfix(t, dir, log, address, to)

	command(t, "postfix", "-c", filepath.Join(dir, "etc"), "start")
	t.Cleanup(func() {
		stopping, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if out, err := exec.CommandContext(stopping, "postfix", "-c", filepath.Join(dir, "etc"), "stop").CombinedOutput(); err != nil {
			t.Errorf("postfix stop: %v\n%s", err, out)
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

func configurePostfix(t *testing.T, dir, log, address, to string) {
	t.Helper()
	etc, queue, data := filepath.Join(dir, "etc"), filepath.Join(dir, "spool"), filepath.Join(dir, "data")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(etc, os.DirFS("/etc/postfix")); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{queue, data} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	chown(t, data, "postfix")
	host, port, _ := strings.Cut(to, ":")
	main := fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %s
data_directory = %s
meta_directory = %s
maillog_file = %s
maillog_file_prefixes = /var
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.example.org
mydestination =
mynetworks = 127.0.0.0/8
relayhost = [%s]:%s
smtp_host_lookup = native
disable_dns_lookups = yes
message_size_limit = 0
mailbox_size_limit = 0
smtputf8_enable = no
alias_maps =
local_recipient_maps =
`, queue, data, etc, log, host, port)
	if err := os.WriteFile(filepath.Join(etc, "main.cf"), []byte(main), 0o644); err != nil {
		t.Fatal(err)
	}
	rewriteMaster(t, filepath.Join(etc, "master.cf"), address)
}

// rewriteMaster takes every service out of its chroot, which nobody has
// furnished, and lets smtpd listen on the address instead of port 25.
func rewriteMaster(t *testing.T, path, address string) {
	t.Helper()
	packaged, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		packaged, err = os.ReadFile("/usr/share/postfix/master.cf.dist")
	}
	if err != nil {
		t.Fatal(err)
	}
	var master strings.Builder
	for line := range strings.Lines(string(packaged)) {
		field := strings.Fields(line)
		if len(field) < 8 || strings.HasPrefix(line, "#") || strings.HasPrefix(line, " ") {
			master.WriteString(line)
			continue
		}
		if field[0] == "smtp" && field[1] == "inet" {
			field[0], field[6] = address, "100"
		}
		field[4] = "n"
		master.WriteString(strings.Join(field, " ") + "\n")
	}
	if err := os.WriteFile(path, []byte(master.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func chown(t *testing.T, path, name string) {
	t.Helper()
	account, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, uid, -1); err != nil {
		t.Fatal(err)
	}
}

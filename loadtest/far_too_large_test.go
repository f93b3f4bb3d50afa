package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// bashSender copies a file to the connection and reads nothing before it is done, as
// most programs that are no mailers do.
const bashSender = `
exec 3<>"/dev/tcp/${1%:*}/${1##*:}"
while IFS= read -r reply <&3; do case $reply in 220\ *) break;; esac; done
printf 'HELO c.example.com\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n' >&3
while IFS= read -r reply <&3; do case $reply in 354\ *) break;; esac; done
cat -- "$2" >&3 && printf '.\r\nQUIT\r\n' >&3
cat <&3
`

// pythonPlainSender says HELO, so that the size is not declared and refused at MAIL.
const pythonPlainSender = `
import smtplib, sys
host, port = sys.argv[1].split(":")
with open(sys.argv[2], "rb") as mail, smtplib.SMTP(host, int(port)) as server:
    server.helo()
    server.mail("sender@example.org")
    server.rcpt("recipient@example.net")
    print(server.data(mail.read()))
`

// Whatever client still writes when its text is far over the limit reads the 552, and
// no write of it fails: what it sees would else look like a reason to try again.
func TestFarTooLargeIsRead(t *testing.T) {
	t.Parallel()
	needs(t, "bash", "curl", "python3", "swaks", "smtp-source")
	gateway := newGateway(t)
	gateway.Config += "limits: {message_size: 64KiB}\n"
	startGateway(t, gateway)
	host, port, _ := strings.Cut(gateway.SMTP, ":")
	mail := filepath.Join(t.TempDir(), "mail")
	text := header("far") + "\r\n" + strings.Repeat(strings.Repeat("x", 78)+"\r\n", 50_000) // 4 MB
	if err := os.WriteFile(mail, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	clients := map[string][]string{
		"bash": {"bash", "-c", bashSender, "bash", gateway.SMTP, mail},
		"curl": {"bash", "-c", `curl -sSv "$0" --mail-from a@example.org --mail-rcpt b@example.net -T - <"$1"`,
			"smtp://" + gateway.SMTP, mail},
		"Python": {"python3", "-c", pythonPlainSender, gateway.SMTP, mail},
		"swaks": {"swaks", "--server", host, "--port", port, "--from", "a@example.org", "--to", "b@example.net",
			"--data", "@" + mail, "--silent", "2"}, // 2: what it was told
		"smtp-source": {"smtp-source", "-l", "4000000", "-f", "a@example.org", "-t", "b@example.net", gateway.SMTP},
	}
	t.Run("clients", func(t *testing.T) {
		for name, words := range clients {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				said, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput()
				told := strings.ToLower(string(said))
				if !strings.Contains(told, "552") || !strings.Contains(told, "5.3.4 message far too large") {
					t.Fatalf("%v; it read no 552: %.2000s", err, said)
				}
				if strings.Contains(told, "broken pipe") || strings.Contains(told, "reset by peer") {
					t.Errorf("%v; a write failed: %.2000s", err, said)
				}
			})
		}
	})
	if messages, _ := inventory(t, gateway); len(messages) != 0 {
		t.Errorf("%d messages are stored", len(messages))
	}
}

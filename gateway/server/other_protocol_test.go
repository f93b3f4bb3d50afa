package server

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/testkit"
)

// TestOtherProtocols checks that a client of another protocol on the SMTP port gets one
// reply that says so. The connection is closed, none of its input is executed, and one
// log line names the client.
func TestOtherProtocols(t *testing.T) {
	logged := captureLog(t)
	r := launch(t, nil)
	address := r.reactor.Addresses()[0]
	form := filepath.Join(t.TempDir(), "form")
	session := "HELO client.example.com\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@localhost>\r\nDATA\r\n" +
		"Subject: posted\r\n\r\ntext\r\n.\r\nQUIT\r\n"
	if err := os.WriteFile(form, []byte(session+strings.Repeat("x", 200<<10)), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "http://" + address + "/"
	lines := map[string]int{}
	for _, test := range []struct{ cause, command string }{
		{"http", "curl -sS --http0.9 --max-time 20 " + url},
		{"http", "curl -sS --http0.9 --max-time 20 --head " + url},
		{"http", "curl -sS --http0.9 --max-time 20 --http2-prior-knowledge " + url},
		{"http", "curl -sS --http0.9 --max-time 20 -X PROPFIND --data-binary @" + form + " " + url},
		{"http", "curl -sS --http0.9 --max-time 20 -H Expect: --data-binary @" + form + " " + url},
		{"http", "curl -sS --http0.9 --max-time 20 -H Expect: --upload-file " + form + " " + url},
		{"http", "curl -sS --http0.9 --max-time 20 --proxytunnel --proxy " + url + " http://mx1.example.net/"},
		{"tls", "curl -sS --max-time 20 --insecure https://" + address + "/"},
		{"tls", "openssl s_client -connect " + address},
	} {
		words := strings.Fields(test.command)
		if _, err := exec.LookPath(words[0]); err != nil {
			if os.Getenv("TEST_TOOLS") == "required" {
				t.Fatal(err)
			}
			t.Logf("without %s", words[0])
			continue
		}
		said, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput()
		lines[test.cause]++
		count := func() int {
			return strings.Count(logged(), "cause="+test.cause+" ")
		}
		testkit.Eventually(t, test.command+" has its log line", func() bool { return count() >= lines[test.cause] })
		if n := count(); n != lines[test.cause] {
			t.Fatalf("%s (%v): %d log lines of %d in all\n%s\n%s", test.command, err, n, lines[test.cause], said, logged())
		}
		if bytes.Contains(said, []byte("250 ")) || bytes.Contains(said, []byte("354 ")) {
			t.Errorf("%s: a session was carried on: %s", test.command, said)
		}
	}
	if n := strings.Count(logged(), "msg=refused"); n != lines["http"]+lines["tls"] {
		t.Errorf("%d refusals: %s", n, logged())
	}
	if strings.Contains(logged(), "msg=accepted") {
		t.Errorf("a message was accepted: %s", logged())
	}
	r.end(t)
}

package config

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSecretReadAgain checks that a refused secret is read again, not more often than
// allowed, with one log line that does not show it.
func TestSecretReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old\n")
	c, err := loadOn(testMachine, Sources{Env: []string{"SLUICE_STORE_S3_SECRET_KEY_FILE=" + path}})
	if err != nil {
		t.Fatal(err)
	}
	secret := c.Store.S3.SecretKey
	if secret.Reveal() != "old" || secret.file != path {
		t.Fatalf("%#v from %q", secret.Reveal(), secret.file)
	}
	var log bytes.Buffer
	now := time.Unix(1000, 0)
	r := &rereader{
		key: "store.s3.secret_key", file: path, known: "old",
		logger: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return now },
	}
	expect := func(refused, want string, changed bool) {
		t.Helper()
		if got, is := r.current(refused); got != want || is != changed {
			t.Errorf("%q %t, want %q %t", got, is, want, changed)
		}
	}
	expect("old", "old", false)
	write("new\n")
	expect("old", "old", false) // too soon
	now = now.Add(rereadEvery)
	expect("old", "new", true)
	expect("old", "new", true) // another client still had the old one
	expect("new", "new", false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the file is missing for a moment
		now = now.Add(rereadEvery)
		expect("new", "new", false)
	}
	write("newest")
	now = now.Add(rereadEvery)
	expect("new", "newest", true)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "store.s3.secret_key_file") || !strings.Contains(lines[1], "level=WARN") {
		t.Errorf("logged %q", lines)
	}
	for _, line := range lines {
		if strings.Contains(strings.ReplaceAll(line, path, ""), "new") {
			t.Errorf("the log shows the secret: %s", line)
		}
	}
	if (Secret{plain: "x"}).Reread("k", slog.Default()) != nil || new(S3Config).RereadAccessKey(slog.Default()) != nil {
		t.Error("a secret without a file is read again")
	}
}

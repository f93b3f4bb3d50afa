package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/pipeline/s3"
)

// TestSecretReadAgain: a refused secret is read again, not more often than the rate
// allows, with one line in the log that does not show it.
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
		if got, is := r.again(refused); got != want || is != changed {
			t.Errorf("%q %t, want %q %t", got, is, want, changed)
		}
	}
	expect("old", "old", false)
	write("new\n")
	expect("old", "old", false) // too soon
	now = now.Add(rereadEvery)
	expect("old", "new", true)
	expect("old", "new", true) // another that still had the old one
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
	if (Secret{plain: "x"}).reread("k", slog.Default()) != nil || new(Config).rereadKeys(slog.Default()) != nil {
		t.Error("a secret without a file is read again")
	}
}

// TestKeysReadAgain: a key and its secret change together, each in its file.
func TestKeysReadAgain(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c, err := loadOn(testMachine, Sources{File: write("sluice.yaml", "accept: {any: true}\nstore: {s3: {access_key_file: "+
		write("access", "key1\n")+", secret_key_file: "+write("secret", "secret1\n")+"}}\n")})
	if err != nil {
		t.Fatal(err)
	}
	first := s3.Keys{Access: "key1", Secret: "secret1"}
	if got := (s3.Keys{Access: c.Store.S3.AccessKey, Secret: c.Store.S3.SecretKey.Reveal()}); got != first {
		t.Fatalf("read %+v", got)
	}
	reread := c.rereadKeys(slog.New(slog.DiscardHandler))
	write("access", "key2\n")
	write("secret", "secret2\n")
	want := s3.Keys{Access: "key2", Secret: "secret2"}
	if got, changed := reread(first); got != want || !changed {
		t.Errorf("%+v %t", got, changed)
	}
	if got, changed := reread(want); got != want || changed {
		t.Errorf("%+v %t", got, changed)
	}
	over, err := loadOn(testMachine, Sources{File: filepath.Join(folder, "sluice.yaml"), Env: []string{"SLUICE_STORE_S3_ACCESS_KEY=plain"}})
	if err != nil || over.Store.S3.AccessKey != "plain" || over.Store.S3.accessKeyFile != "" {
		t.Errorf("%v %+v", err, over.Store.S3.AccessKey)
	}
}

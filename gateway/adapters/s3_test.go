package adapters

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"sluice/gateway/config"
	"sluice/gateway/config/configtest"
	"sluice/pipeline/s3"
)

// TestKeysReadAgain checks that a key and its secret, each in a file, can be replaced
// together.
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
	c, err := config.LoadOn(configtest.Machine, config.Sources{File: write("sluice.yaml", "accept: {any: true}\nstore: {s3: {access_key_file: "+
		write("access", "key1\n")+", secret_key_file: "+write("secret", "secret1\n")+"}}\n")}, config.ForServe)
	if err != nil {
		t.Fatal(err)
	}
	first := s3.Keys{Access: "key1", Secret: "secret1"}
	if got := (s3.Keys{Access: c.Store.S3.AccessKey, Secret: c.Store.S3.SecretKey.Reveal()}); got != first {
		t.Fatalf("read %+v", got)
	}
	reread := rereadKeys(&c, slog.New(slog.DiscardHandler))
	write("access", "key2\n")
	write("secret", "secret2\n")
	want := s3.Keys{Access: "key2", Secret: "secret2"}
	if got, changed := reread(first); got != want || !changed {
		t.Errorf("%+v %t", got, changed)
	}
	if got, changed := reread(want); got != want || changed {
		t.Errorf("%+v %t", got, changed)
	}
	over, err := config.LoadOn(configtest.Machine, config.Sources{File: filepath.Join(folder, "sluice.yaml"), Env: []string{"SLUICE_STORE_S3_ACCESS_KEY=plain"}}, config.ForServe)
	if err != nil || over.Store.S3.AccessKey != "plain" || over.Store.S3.RereadAccessKey(slog.Default()) != nil {
		t.Errorf("%v %+v", err, over.Store.S3.AccessKey)
	}
}

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/gateway/identity/static"
)

// TestAuthTest says what the backends make of a user, without a gateway that runs.
func TestAuthTest(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	users := write("users", "ann@example.net:"+static.Hash([]byte("secret"))+"\n")
	const listener = "listeners: [{address: \"127.0.0.1:0\", role: submission}]\ndata_dir: %q\nauth: {allow_plaintext: true, "
	file := write("file.yaml", fmt.Sprintf(listener+"backends: [static], static: {file: %q}}\n", dir, users))
	away := write("away.yaml", fmt.Sprintf(listener+"backends: [ldap], ldap: {url: \"ldap://127.0.0.1:1\", base_dn: \"dc=example\"}}\n", dir))
	none := write("none.yaml", fmt.Sprintf("accept: {domains: [example.net]}\ndata_dir: %q\n", dir))
	for _, c := range []struct {
		name, config, secret string
		flags                []string
		code                 int
		says                 []string
	}{
		{"accepted", file, "secret\n", nil, exitOK, []string{"235 accepted by static after ", "\nidentity: ann@example.net\n"}},
		{"refused", file, "wrong\n", nil, exitFailure, []string{"535 refused by static after ", "\nreason: wrong_password\n"}},
		{"empty", file, "\n", nil, exitFailure, []string{"535 refused by no backend after ", "\nreason: empty_secret\n"}},
		{"a password as a token", file, "secret\n", []string{"--token"}, exitFailure, []string{"535 refused by no backend after ", "\nreason: unknown_user\n"}},
		{"away", away, "secret\n", nil, exitFailure, []string{"454 unavailable by ldap after ", "\nreason: unreachable\n", "\nbehind it: ", "connection refused"}},
		{"no listener", none, "secret\n", nil, exitFailure, []string{"no listener has role: submission"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, given, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			if _, err := io.WriteString(given, c.secret); err != nil {
				t.Fatal(err)
			}
			given.Close()
			var out strings.Builder
			code := app{in: in, out: &out, err: &out}.run(append([]string{"--config", c.config, "auth", "test", "--user", "ann@example.net"}, c.flags...))
			if code != c.code {
				t.Errorf("exit code %d: %s", code, out.String())
			}
			for _, text := range c.says {
				if !strings.Contains(out.String(), text) {
					t.Errorf("%q is not in %s", text, out.String())
				}
			}
		})
	}
}

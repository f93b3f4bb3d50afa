package linefile

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestReadSecret checks what is a file with a secret, and that nothing else is waited for.
func TestReadSecret(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	for text, want := range map[string]string{
		"secret": "secret", "secret\n": "secret", "secret\r\n": "secret", " se cret ": " se cret ",
		strings.Repeat("x", maxSecret): strings.Repeat("x", maxSecret), strings.Repeat("x", maxSecret) + "\n": "",
		"": "", "\n": "", "secret\nmore": "", "secret\n\n": "", "sec\x00ret": "", "sec\rret": "",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadSecret(name)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%.20q: %.20q, %v", text, got, err)
		}
		if err != nil && (strings.Contains(err.Error(), "more") || !strings.Contains(err.Error(), name)) && text != "" {
			t.Errorf("%.20q: the error is %v", text, err)
		}
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pipe, "/dev/zero", filepath.Dir(name), name + "x"} {
		if got, err := ReadSecret(name); err == nil || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

package certificates

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSelfSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	pair, cert, err := SelfSigned(dir, []string{"MX.example.net", "127.0.0.1", "*.example.org"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]fs.FileMode{pair.KeyFile: 0o600, pair.CertFile: 0o644} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%v %v", entries, err)
	}
	set := load(t, Settings{Pairs: []Pair{pair}})
	if warnings := set.Warnings(time.Now()); len(warnings) > 0 {
		t.Error(warnings)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	for _, name := range []string{"mx.example.net", "127.0.0.1", "a.example.org"} {
		if _, _, err := shake(set.config, &tls.Config{RootCAs: roots, ServerName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	_, _, err = SelfSigned(dir, []string{"mx.example.net"}, false)
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("a pair was there: %v", err)
	}
	if again := load(t, Settings{Pairs: []Pair{pair}}); !again.all[0].Leaf.Equal(cert) {
		t.Error("it was replaced")
	}
	_, second, err := SelfSigned(dir, []string{"mx.example.net"}, true)
	if err != nil || !load(t, Settings{Pairs: []Pair{pair}}).all[0].Leaf.Equal(second) {
		t.Errorf("it was not replaced: %v", err)
	}
	for _, names := range [][]string{nil, {""}, {"mx example"}, {"a..b"}, {strings.Repeat("a", 64)}, {"mx_1.example.net"}} {
		if _, _, err := SelfSigned(t.TempDir(), names, false); err == nil {
			t.Errorf("%q was taken", names)
		}
	}
}

// TestTrial: a pair for trying out is made once, and again when it ends.
func TestTrial(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	made := func() *x509.Certificate {
		t.Helper()
		pair, err := Trial(dir, []string{"localhost"})
		if err != nil {
			t.Fatal(err)
		}
		return load(t, Settings{Pairs: []Pair{pair}}).all[0].Leaf
	}
	first := made()
	if !made().Equal(first) {
		t.Error("a second pair was made")
	}
	key := newKey(t)
	write(t, dir, "cert.pem", certPEM((*authority)(nil).issue(t, key, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Minute) })))
	write(t, dir, "key.pem", keyPEM(t, key))
	second := made()
	if time.Until(second.NotAfter) < 24*time.Hour {
		t.Error("a pair that ends soon was kept")
	}
	if err := os.Remove(filepath.Join(dir, "cert.pem")); err != nil {
		t.Fatal(err)
	}
	made()
	write(t, dir, "key.pem", "nothing")
	if _, err := Trial(dir, []string{"localhost"}); err == nil || !strings.Contains(err.Error(), "key.pem has no PEM block") {
		t.Errorf("a bad key: %v", err)
	}
}

package main

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSelfSigned needs no configuration, so that a bad one is no obstacle.
func TestSelfSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	bad := []string{"SLUICE_X=1"}
	writePair := func(more ...string) ran {
		return run(bad, nil, append([]string{"tls", "self-signed", "--dir", dir, "--name", "mx.example.net", "--name", "127.0.0.1"}, more...)...)
	}
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if r := writePair(); r.code != exitOK || !strings.Contains(r.out, cert) || !strings.Contains(r.out, "TLSA record for DANE: 3 1 1 ") || r.served != nil {
		t.Errorf("%+v", r)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil || pair.Leaf.VerifyHostname("mx.example.net") != nil || pair.Leaf.VerifyHostname("127.0.0.1") != nil {
		t.Errorf("the pair: %v", err)
	}
	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	r := writePair()
	if again, err := os.ReadFile(key); err != nil || r.code != exitFailure || !strings.Contains(r.err, cert+": file already exists; --replace writes another") || string(again) != string(before) {
		t.Errorf("a pair was there: %+v %v", r, err)
	}
	if r := writePair("--replace"); r.code != exitOK || strings.Contains(r.out+r.err, "PRIVATE") {
		t.Errorf("%+v", r)
	}
	if r := writePair("--name", "mx_1"); r.code != exitFailure || !strings.Contains(r.err, `"mx_1" is neither`) {
		t.Errorf("%+v", r)
	}
	for _, args := range []string{"tls", "tls self-signed", "tls self-signed --dir d", "tls self-signed --name n"} {
		if r := run(nil, nil, strings.Fields(args)...); r.code != exitUsage {
			t.Errorf("%s: %+v", args, r)
		}
	}
}

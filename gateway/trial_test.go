package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/gateway/config"
	"sluice/gateway/config/configtest"
)

// TestTryTLS: who starts the gateway with nothing but a folder gets STARTTLS; who has said
// anything of TLS, or lets others reach it, gets what was said.
func TestTryTLS(t *testing.T) {
	dir := t.TempDir()
	file := configtest.File(t, "accept: {domains: [example.net]}\n")
	blocked := filepath.Join(dir, "blocked")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		env   []string
		args  string
		tried bool
	}{
		{"default", nil, "", true},
		{"again", nil, "", true},
		{"other listeners", nil, "--listen 127.0.0.1:0 --listen [::1]:0", true},
		{"listeners by the environment", []string{"SLUICE_LISTENERS=127.0.0.1:0"}, "", true},
		{"file", nil, "--config " + file, false},
		{"public", []string{"SLUICE_ACCEPT_ANY=true"}, "--listen 0.0.0.0:2525", false},
		{"told", []string{"SLUICE_TLS_MIN_VERSION=1.3"}, "", false},
		{"no folder", []string{"SLUICE_DATA_DIR=" + blocked}, "", false},
	} {
		args := strings.Fields("serve " + c.args)
		if c.name != "no folder" {
			args = append(args, "--data", dir)
		}
		r := run(c.env, nil, args...)
		if r.code != exitOK || r.served == nil {
			t.Errorf("%s: %+v", c.name, r)
			continue
		}
		for _, l := range r.served.Listeners {
			if (l.TLS == config.TLSStart) != c.tried {
				t.Errorf("%s: %s has tls: %s", c.name, l.Address, l.TLS)
			}
		}
		if r.served.HasTrialTLS() != c.tried || c.tried && len(r.served.Warnings()) > 0 {
			t.Errorf("%s: %v %q", c.name, r.served.TLS, r.served.Warnings())
		}
		if said := strings.Contains(r.err, "warning: no TLS"); said != (c.name == "no folder") {
			t.Errorf("%s: said %q", c.name, r.err)
		}
	}
}

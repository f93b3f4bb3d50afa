// Package configtest makes configurations for tests.
package configtest

import (
	"os"
	"path/filepath"
	"testing"

	"sluice/gateway/config"
)

// Machine is a machine of fixed size, so that a configuration does not depend on where
// the tests run.
var Machine = config.Machine{Hostname: "mx.example.org", Files: 20000, Memory: int64(4 * config.GiB)}

// File writes a configuration file and returns its path.
func File(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Load returns the configuration from some sources on Machine, for a gateway.
func Load(t testing.TB, from config.Sources) config.Config {
	t.Helper()
	c, err := config.LoadOn(Machine, from, config.ForServe)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

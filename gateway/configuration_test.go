package main

import (
	"os"
	"path/filepath"
	"testing"

	"sluice/gateway/config"
)

// fixedMachine is a machine of fixed size, so that what is printed does not depend on
// where the tests run.
var fixedMachine = config.Machine{Hostname: "mx.example.org", Files: 20000, Memory: int64(4 * config.GiB)}

// configFile writes a configuration file.
func configFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// configOf returns the configuration of some sources on that machine.
func configOf(t *testing.T, from config.Sources) config.Config {
	t.Helper()
	c, err := config.LoadOn(fixedMachine, from, config.ForServe)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

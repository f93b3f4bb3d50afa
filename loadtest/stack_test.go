package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every part that is missing is said before any is started.
func TestStackUpWithoutParts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "stack")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("PATH", "/nowhere")
	for _, c := range []struct{ parts, want string }{
		{"minio,kafka", "minio: minio is not installed, run make tools"},
		{"minio,kafka", "kafka: a Java runtime is not installed, run make tools"},
		{"prometheus", "prometheus: prometheus is not installed, run make tools"},
		{"minoi", "minoi: no such part"},
	} {
		err := (&stackUp{stackFolder{dir}, strings.Split(c.parts, ",")}).Run(t.Context())
		if err == nil || !strings.HasPrefix(err.Error(), "nothing was started:") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.parts, err, c.want)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Fatalf("%s: it left a folder behind", c.parts)
		}
	}
}

package dir

import (
	"os"
	"path/filepath"
	"testing"

	"sluice/pipeline/porttest"
)

// TestLeftBehind: an object that cannot be removed is counted and told.
func TestLeftBehind(t *testing.T) {
	told := make(chan string, 10)
	path := t.TempDir()
	s, err := Open(Options{Path: path, LeftBehind: func(key string, err error) { told <- key + ": " + err.Error() }})
	if err != nil {
		t.Fatal(err)
	}
	const key = "2026/01/02/03/x.eml" // a folder that is not empty cannot be removed
	if err := os.MkdirAll(filepath.Join(path, key, "y"), 0o750); err != nil {
		t.Fatal(err)
	}
	s.Remove(key)
	s.Remove("../outside.eml")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.Remove(porttest.NewMessage(nil).Key()) // it is closed
	if n := s.LeftBehind(); n != 3 || len(told) != 3 {
		t.Errorf("%d left behind, %d told", n, len(told))
	}
}

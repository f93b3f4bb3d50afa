package sqlite

import (
	"path/filepath"
	"testing"

	"sluice/index"
	"sluice/index/indextest"
)

// TestConformance runs the suite of the port.
func TestConformance(t *testing.T) {
	indextest.Run(t, indextest.Subject{Open: func(t *testing.T) index.Store { return openNew(t) }})
}

// openNew opens a new database.
func openNew(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "index ?%#é.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

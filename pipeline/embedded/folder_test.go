package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestFolder lets segments grow and roll: each call of sync takes all that was written
// since the last one, also into a segment that was rolled meanwhile, and keeps no old
// segment open.
func TestFolder(t *testing.T) {
	path := t.TempDir()
	d, err := newFolder(path, func(offset int64) (bool, error) { return offset == 0, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	write := func(name string, size int) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(path, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synced := func(want string) {
		t.Helper()
		if err := d.sync(); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for name, f := range d.files {
			got[name] = fmt.Sprint(f.size, " ", f.sealed)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("synced %v, want %s", got, want)
		}
	}
	write("0.dat", 3)
	write("0.idx", 1)
	write("snapshot.json.tmp", 1)
	synced("map[0.dat:3 false 0.idx:1 false]")
	write("0.dat", 7)
	write("9.dat", 4)
	synced("map[0.dat:7 false 0.idx:1 true 9.dat:4 false]")
	synced("map[0.dat:7 true 0.idx:1 true 9.dat:4 false]")
	for _, name := range []string{"0.dat", "0.idx"} { // as retention does
		if err := os.Remove(filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
	}
	synced("map[9.dat:4 false]")
	if err := os.Remove(filepath.Join(path, "9.dat")); err != nil {
		t.Fatal(err)
	}
	if err := d.sync(); err == nil {
		t.Error("a segment with events was removed, and nobody said so")
	}
}

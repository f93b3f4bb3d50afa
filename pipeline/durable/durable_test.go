package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// recorder records the calls, with names relative to root, and fails one of them.
type recorder struct {
	OS
	root, failing string
	err           error
	calls         []string
}

func (r *recorder) note(call, name string) error {
	rel, err := filepath.Rel(r.root, name)
	if err != nil {
		return err
	}
	call += " " + rel
	r.calls = append(r.calls, call)
	if call == r.failing {
		return r.err
	}
	return nil
}

func (r *recorder) Mkdir(name string) error {
	return errors.Join(r.note("mkdir", name), r.OS.Mkdir(name))
}

func (r *recorder) SyncDir(name string) error { return r.note("sync", name) }

// TestMakeAll checks that each name is durable before the next folder is made, and that a
// second start syncs the one name that may be left of a killed first one.
func TestMakeAll(t *testing.T) {
	r := &recorder{root: t.TempDir()}
	path := filepath.Join(r.root, "a", "b", "c")
	if err := MakeAll(r, path); err != nil {
		t.Fatal(err)
	}
	check(t, r, "[sync .. mkdir a sync . mkdir a/b sync a mkdir a/b/c sync a/b]")
	if err := MakeAll(r, path); err != nil {
		t.Fatal(err)
	}
	check(t, r, "[sync a/b]")
}

func check(t *testing.T, r *recorder, want string) {
	t.Helper()
	if got := fmt.Sprint(r.calls); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	r.calls = nil
}

func TestErrors(t *testing.T) {
	for failing, test := range map[string]struct {
		err  error
		fail bool
	}{
		"sync .":  {syscall.EINVAL, true},  // for a new folder
		"sync ..": {syscall.EACCES, false}, // for one that was there
	} {
		r := &recorder{root: t.TempDir(), failing: failing, err: test.err}
		if err := MakeAll(r, filepath.Join(r.root, "a")); (err != nil) != test.fail {
			t.Errorf("%s: %v", failing, err)
		}
	}
	r := &recorder{root: t.TempDir(), failing: "sync ..", err: syscall.EIO}
	if err := MakeAll(r, r.root); !errors.Is(err, syscall.EIO) {
		t.Errorf("a broken disk: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MakeAll(OS{}, file); err == nil {
		t.Error("a file was taken for a folder")
	}
}

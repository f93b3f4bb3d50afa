package dir

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/porttest"
)

func mustOpen(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestLeftoversAreRemoved(t *testing.T) {
	root := t.TempDir()
	s := mustOpen(t, Options{Path: root})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	leftover := filepath.Join(root, "tmp", "3-14")
	if err := os.WriteFile(leftover, []byte("half a mess"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, Options{Path: root})
	if _, err := os.Stat(leftover); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the leftover is still there: %v", err)
	}
}

func TestSecondWriterIsRefused(t *testing.T) {
	root := t.TempDir()
	mustOpen(t, Options{Path: root})
	if _, err := Open(Options{Path: root}); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("error %v", err)
	}
}

func TestPathIsAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{name, filepath.Join(name, "below")} {
		if _, err := Open(Options{Path: path}); err == nil {
			t.Errorf("%s was opened", path)
		}
	}
}

// TestFolderRemoved checks that messages are stored after someone removed empty folders.
func TestFolderRemoved(t *testing.T) {
	s := mustOpen(t, Options{Path: t.TempDir()})
	for range 2 {
		m := porttest.NewMessage([]byte("body"))
		year, _, _ := strings.Cut(m.Key(), "/")
		sent, err := porttest.Store(s, m)
		if err != nil || sent.Err != nil {
			t.Fatalf("%v %v", err, sent.Err)
		}
		if err := os.RemoveAll(filepath.Join(s.root, year)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWaitedTooLong keeps the only writer busy. A message that waits past the timeout
// must not be written.
func TestWaitedTooLong(t *testing.T) {
	calls := &stallingFS{}
	s, err := open(Options{Path: t.TempDir(), Concurrency: 1, Timeout: time.Nanosecond}, calls)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sent, err := porttest.Store(s, porttest.NewMessage(nil))
	if err != nil {
		t.Fatal(err)
	}
	if kind := pipeline.KindOf(sent.Err); kind != pipeline.KindTimeout {
		t.Errorf("kind %s: %v", kind, sent.Err)
	}
	checkObjects(t, s, 0)
}

func TestKeysStayInside(t *testing.T) {
	root := t.TempDir()
	s := mustOpen(t, Options{Path: filepath.Join(root, "mail")})
	secret := filepath.Join(root, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"", ".", "..", "../secret", "a/../../secret", secret, "/etc/passwd",
		"tmp/lock", "tmp", "./tmp/lock", "a//b", "a/./b", "a/b/", "a/../b",
	} {
		r, err := s.Open(t.Context(), key, 0, 100)
		if !errors.Is(err, errKey) {
			t.Errorf("%q: %v", key, err)
		}
		if err == nil {
			_ = r.Close()
		}
	}
	if _, err := s.Open(t.Context(), "2026/01/01/00/nothing.eml", 0, 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing object: %v", err)
	}
}

// TestOpenSection reads a section of an object, and past its end.
func TestOpenSection(t *testing.T) {
	s := mustOpen(t, Options{Path: t.TempDir()})
	m := porttest.NewMessage([]byte("0123456789"))
	m.Header = nil
	sent, err := porttest.Store(s, m)
	if err != nil || sent.Err != nil {
		t.Fatalf("%v %v", err, sent.Err)
	}
	for _, test := range []struct {
		offset, length int64
		want           string
	}{{0, 10, "0123456789"}, {3, 4, "3456"}, {8, 10, "89"}, {10, 1, ""}, {20, 5, ""}, {0, 0, ""}} {
		r, err := s.Open(t.Context(), sent.Blob.Key, test.offset, test.length)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != test.want {
			t.Errorf("%d+%d: %q %v, want %q", test.offset, test.length, got, err, test.want)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLeftBehind checks that an object that cannot be removed is counted and reported.
func TestLeftBehind(t *testing.T) {
	reported := make(chan string, 10)
	path := t.TempDir()
	report := func(key string, err error) { reported <- key + ": " + err.Error() }
	s, err := Open(Options{Path: path, LeftBehind: report})
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
	if n := s.LeftBehind(); n != 3 || len(reported) != 3 {
		t.Errorf("%d left behind, %d reported", n, len(reported))
	}
}

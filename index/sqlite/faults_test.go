package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/index"
	"sluice/internal/testkit"
)

// TestOpenRefuses opens what is no index, or none that can be used.
func TestOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	newer, foreign, text, short := filepath.Join(folder, "newer"), filepath.Join(folder, "foreign"), filepath.Join(folder, "text"), filepath.Join(folder, "short")
	made, err := Open(t.Context(), newer)
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, made.writer, "PRAGMA user_version = 7")
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(newer)
	if err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", foreign)
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, other, "CREATE TABLE a (b)")
	if err := errors.Join(other.Close(), os.WriteFile(text, slices.Repeat([]byte("text "), 1000), 0o600), os.WriteFile(short, whole[:6000], 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		newer: "use the newer Sluice", foreign: "another program", text: "not a database", short: "damaged", folder: "cannot be opened",
		filepath.Join(folder, "none", "index.db"): "no such file", filepath.Join(text, "index.db"): "not a",
	} {
		for name, open := range map[string]func(context.Context, string) (*Store, error){"Open": Open, "OpenReader": OpenReader} {
			_, err := open(t.Context(), path)
			if err == nil || !strings.Contains(err.Error(), path) && !strings.Contains(err.Error(), filepath.Dir(path)) {
				t.Errorf("%s %s: %v", name, path, err)
			} else if name == "Open" && !strings.Contains(err.Error(), want) {
				t.Errorf("%s %s: %v, want %q", name, path, err, want)
			}
		}
	}
	var tooNew *NewerError
	if _, err := Open(t.Context(), newer); !errors.As(err, &tooNew) || tooNew.Version != 7 {
		t.Errorf("newer: %v", err)
	}
	if _, err := OpenReader(t.Context(), filepath.Join(folder, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}

func mustExec(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// TestReopened finds in a file what was inserted before it was closed, and beside a writer.
func TestReopened(t *testing.T) {
	s := openNew(t)
	rows := messages(6, 3)
	mustInsert(t, s, rows[:2], 2)
	reader, err := OpenReader(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	mustCount(t, reader, 2)
	if _, err := reader.Insert(t.Context(), rows); !errors.Is(err, errReadOnly) {
		t.Errorf("Insert of a reader: %v", err)
	}
	mustInsert(t, s, rows[:4], 2)
	mustCount(t, reader, 4)
	if err := errors.Join(reader.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the log of a closed database: %v", err)
	}
	again, err := Open(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	mustCount(t, again, 4)
	mustInsert(t, again, rows, 2)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if reader, err = OpenReader(t.Context(), s.path); err != nil {
		t.Fatal(err)
	}
	mustCount(t, reader, 6)
	_ = reader.Close()
}

// TestReplaced deletes or replaces files that are open. It is an error once.
func TestReplaced(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"file": os.Remove,
		"log":  func(path string) error { return os.Remove(path + "-wal") },
		"all": func(path string) error {
			return errors.Join(os.Remove(path), os.Remove(path+"-wal"), os.Remove(path+"-shm"))
		},
		"folder": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"moved":  func(path string) error { return os.Rename(path, path+".old") },
		"other": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.Remove(path+"-wal"), os.Remove(path+"-shm"), os.WriteFile(path, nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openNew(t)
			rows := messages(4, 3)
			mustInsert(t, s, rows[:2], 2)
			if err := change(s.path); err != nil {
				t.Fatal(err)
			}
			n, err := s.Insert(t.Context(), rows[2:])
			if n != 0 || !errors.Is(err, errReplaced) || !strings.Contains(err.Error(), s.path) {
				t.Fatalf("%d inserted, %v", n, err)
			}
			if name == "folder" {
				if _, err := s.Insert(t.Context(), rows[2:]); !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
				if _, err := s.Find(t.Context(), &index.Query{Limit: 1}); !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
				if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			mustInsert(t, s, rows[2:], 2)
			second, err := OpenReader(t.Context(), s.path)
			if err != nil {
				t.Fatal(err)
			}
			defer second.Close()
			for _, m := range rows[2:] {
				if _, err := second.Get(t.Context(), m.ID); err != nil {
					t.Errorf("%s: %v", m.ID, err)
				}
			}
			checkIntegrity(t, s)
		})
	}
}

// TestLocked has another connection hold the lock: Insert waits, and fails when its
// context ends or its patience does; searches go on.
func TestLocked(t *testing.T) {
	s := openNew(t)
	rows := messages(4, 3)
	mustInsert(t, s, rows[:1], 1)
	other, err := Open(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	lock := func() *sql.Tx {
		tx, err := other.writer.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}

	tx := lock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Insert(ctx, rows); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	mustCount(t, s, 1)
	mustExec(t, s.writer, "PRAGMA busy_timeout = 50")
	if _, err := s.Insert(t.Context(), rows); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("%v", err)
	}
	mustExec(t, s.writer, "PRAGMA busy_timeout = 10000")
	done := make(chan error)
	go func() {
		_, err := s.Insert(t.Context(), rows)
		done <- err
	}()
	mustCount(t, s, 1)
	if err := errors.Join(tx.Rollback(), <-done); err != nil {
		t.Fatal(err)
	}
	mustCount(t, s, 4)
}

// TestFull fills the disk and makes room again.
func TestFull(t *testing.T) {
	testkit.Root(t, "it mounts a file system")
	folder := t.TempDir()
	mount := func(flags uintptr) {
		if err := syscall.Mount("tmpfs", folder, "tmpfs", flags, "size=3m"); err != nil {
			testkit.Missing(t, "no tmpfs: "+err.Error())
		}
	}
	mount(0)
	t.Cleanup(func() { _ = syscall.Unmount(folder, syscall.MNT_DETACH) })
	s, err := Open(t.Context(), filepath.Join(folder, "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ballast := filepath.Join(folder, "ballast")
	rows := messages(600, 100)
	mustInsert(t, s, rows[:100], 100)
	if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	for range 3 {
		if n, err := s.Insert(t.Context(), rows[:300]); n != 0 || err == nil || !strings.Contains(err.Error(), "disk is full") {
			t.Errorf("%d inserted, %v", n, err)
		}
		mustCount(t, s, 100)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	mustInsert(t, s, rows[:300], 200)
	mustCount(t, s, 300)
	checkIntegrity(t, s)
}

// TestDamaged damages pages of an open file. What reads them fails, and says what to do.
func TestDamaged(t *testing.T) {
	s := openNew(t)
	rows := messages(1000, 20)
	mustInsert(t, s, rows, 1000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 3 * 4096; i < len(text); i += 7 {
		text[i] ^= 0x55
	}
	if err := os.WriteFile(s.path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	damaged, err := Open(t.Context(), s.path)
	if err != nil {
		if !strings.Contains(err.Error(), "damaged") {
			t.Error(err)
		}
		return
	}
	defer damaged.Close()
	_, err = damaged.Find(t.Context(), &index.Query{Limit: 1000})
	_, insertErr := damaged.Insert(t.Context(), messages(2000, 20))
	for _, err := range []error{err, insertErr} {
		if err == nil || !strings.Contains(err.Error(), "index again") || !strings.Contains(err.Error(), s.path) {
			t.Errorf("%v", err)
		}
	}
}

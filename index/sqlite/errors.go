package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"sluice/index"
)

// hints are what an operator should know of an error, by SQLite's primary result code.
var hints = map[int]string{
	lib.SQLITE_BUSY:     "another process has had it locked for " + patience.String(),
	lib.SQLITE_READONLY: "it may not be written",
	lib.SQLITE_CANTOPEN: "it or a file beside it cannot be opened or made: look at the permissions of the files and of their folder",
	lib.SQLITE_PERM:     "it may not be opened",
	lib.SQLITE_FULL:     "the disk is full, or a quota is reached; what fails is tried again",
	lib.SQLITE_CORRUPT:  "it is damaged: remove it with its -wal and -shm, and index again, or save its rows by sqlite3's .recover",
	lib.SQLITE_NOTADB:   "it is not a database of SQLite",
	lib.SQLITE_IOERR:    "the disk or the file system fails",
}

// errContent is wrapped by errors about what a row holds, where it can only be that.
var errContent = errors.New(hints[lib.SQLITE_CORRUPT])

// content returns the error of reading a row. What is not of SQLite and no end of a context
// is about what it holds.
func content(err error) error {
	var failed *driver.Error
	if err == nil || errors.As(err, &failed) || errors.Is(err, sql.ErrNoRows) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", errContent, err)
}

// refusals are the codes that are about a row.
var refusals = map[int]bool{lib.SQLITE_CONSTRAINT: true, lib.SQLITE_TOOBIG: true, lib.SQLITE_MISMATCH: true}

// explain returns err with the path and what to do about it.
func (s *Store) explain(err error) error {
	if err == nil {
		return nil
	}
	var failed *driver.Error
	if !errors.As(err, &failed) {
		if strings.Contains(err.Error(), s.path) {
			return err
		}
		return fmt.Errorf("%s: %w", s.path, err)
	}
	code := failed.Code() & 0xff
	if refusals[code] {
		return fmt.Errorf("%s: %w: %w", s.path, index.ErrRefused, err)
	}
	if hint := hints[code]; hint != "" {
		return fmt.Errorf("%s: %s: %w", s.path, hint, err)
	}
	return fmt.Errorf("%s: %w", s.path, err)
}

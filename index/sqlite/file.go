package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
)

// file is which files of the file system the database has open: its own, the log, and the
// memory that processes share. One that is deleted can still be written, but what is
// written is gone.
type file [3]os.FileInfo

func identify(path string) (f file, err error) {
	for i, suffix := range []string{"", "-wal", "-shm"} {
		if f[i], err = os.Stat(path + suffix); err != nil {
			break
		}
	}
	return f, err
}

var errReplaced = errors.New("was deleted or replaced while it was in use: messages that were in it are found again once they are indexed again, by another index.group")

// check returns an error if the files at path are others than those that are open.
func (f file) check(path string) error {
	now, err := identify(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !slices.EqualFunc(f[:], now[:], os.SameFile) {
		return fmt.Errorf("%s %w", path, errReplaced)
	}
	return err
}

// usable checks that the store can be written. A file that was deleted or replaced is an
// error once; then the one at its path is used, or a new one. The caller holds writing.
func (s *Store) usable(ctx context.Context) error {
	switch {
	case errors.Is(s.failed, errClosed):
		return errClosed
	case s.readOnly:
		return errReadOnly
	case s.failed != nil:
		return s.reconnect(ctx)
	}
	err := s.file.check(s.path)
	if errors.Is(err, errReplaced) {
		err = errors.Join(err, s.reconnect(ctx))
	}
	return err
}

// reconnect opens the file at the path, in place of the one that was open.
func (s *Store) reconnect(ctx context.Context) error {
	s.use.Lock()
	defer s.use.Unlock()
	_ = s.disconnect() // it could not be used any more
	s.failed = s.explain(s.connect(ctx))
	return s.failed
}

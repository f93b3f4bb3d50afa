package dir

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// fileSystem is the few calls that durability hangs on, so that a test can
// record their order.
type fileSystem interface {
	// Mkdir makes one folder; fs.ErrExist when it is there.
	Mkdir(name string) error
	// Create makes a new file; fs.ErrExist when it is there.
	Create(name string) (file, error)
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir makes the names in a folder durable.
	SyncDir(name string) error
}

type file interface {
	io.Writer
	Sync() error
	Close() error
}

// Permissions: mail is nobody's business but Sluice's and its group's.
const (
	dirMode  = 0o750
	fileMode = 0o640
)

type osFileSystem struct{}

func (osFileSystem) Mkdir(name string) error { return os.Mkdir(name, dirMode) }

func (osFileSystem) Create(name string) (file, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err // not a nil *os.File in an interface
	}
	return f, nil
}

func (osFileSystem) Rename(from, to string) error { return os.Rename(from, to) }

func (osFileSystem) Remove(name string) error { return os.Remove(name) }

func (osFileSystem) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func exists(err error) bool { return errors.Is(err, fs.ErrExist) }

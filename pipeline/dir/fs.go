package dir

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// fileSystem has the few calls that durability depends on. A test records their order.
type fileSystem interface {
	// Mkdir creates one folder. It returns fs.ErrExist when the folder exists.
	Mkdir(name string) error
	// Create creates a file. It returns fs.ErrExist when the file exists.
	Create(name string) (file, error)
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir makes the entries of a folder durable.
	SyncDir(name string) error
}

type file interface {
	io.Writer
	Sync() error
	Close() error
}

// Permissions: mail is for Sluice's user and group alone.
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

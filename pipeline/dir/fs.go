package dir

import (
	"io"
	"os"

	"sluice/pipeline/durable"
)

// fileSystem has the few calls that durability depends on. A test records their order.
type fileSystem interface {
	durable.FileSystem
	// Create creates a file. It returns fs.ErrExist when the file exists.
	Create(name string) (file, error)
	Rename(from, to string) error
	Remove(name string) error
}

type file interface {
	io.Writer
	Sync() error
	Close() error
}

// fileMode is for Sluice's user and group alone.
const fileMode = 0o640

type osFileSystem struct{ durable.OS }

func (osFileSystem) Create(name string) (file, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err // not a nil *os.File in an interface
	}
	return f, nil
}

func (osFileSystem) Rename(from, to string) error { return os.Rename(from, to) }

func (osFileSystem) Remove(name string) error { return os.Remove(name) }

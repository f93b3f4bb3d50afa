// Package durable makes folders whose names survive a loss of power.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// FileSystem has the calls that durability depends on. A test records their order.
type FileSystem interface {
	// Mkdir creates one folder. It returns fs.ErrExist when the folder exists.
	Mkdir(name string) error
	// SyncDir makes the entries of a folder durable.
	SyncDir(name string) error
}

// OS is the file system of this machine.
type OS struct{}

// dirMode is for Sluice's user and group alone.
const dirMode = 0o750

// Mkdir implements FileSystem.
func (OS) Mkdir(name string) error { return os.Mkdir(name, dirMode) }

// SyncDir implements FileSystem.
func (OS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Make creates a folder, durably. The parent must exist. An existing folder may be from a
// process that died before its fsync, so its name is made durable too.
func Make(calls FileSystem, path string) error {
	if err := calls.Mkdir(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return calls.SyncDir(filepath.Dir(path))
}

// MakeAll creates a folder and its missing parents, each durably and before the next. So
// of the folders that a dead process made, only the last may have a name that is not yet
// durable.
func MakeAll(calls FileSystem, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	return makeAll(calls, path)
}

func makeAll(calls FileSystem, path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%s is not a folder", path)
	}
	parent := filepath.Dir(path)
	if err == nil {
		// Whoever made it may not let this process open the parent. Only an error of the
		// disk counts.
		if err := calls.SyncDir(parent); errors.Is(err, syscall.EIO) {
			return err
		}
		return nil
	}
	if err := makeAll(calls, parent); err != nil {
		return err
	}
	return Make(calls, path)
}

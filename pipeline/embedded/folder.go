package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"sluice/internal/panics"
	"sluice/pipeline/durable"
)

// folder fsyncs the files of a folder that the broker writes. It is not safe for
// concurrent use.
type folder struct {
	path string
	// expired reports whether retention has deleted the event at this offset. It is nil
	// for a folder without events.
	expired func(offset int64) (bool, error)

	identity os.FileInfo
	files    map[string]*syncedFile
	named    bool // a name is new, and not yet durable
}

// syncedFile is a file with its size and time at the last fsync. It stays open while it is written,
// because the kernel reports an error of writing back to those who have the file open. A
// segment that will not grow is sealed.
type syncedFile struct {
	*os.File
	identity os.FileInfo
	size     int64
	modified time.Time
	sealed   bool
}

func (f *syncedFile) seal() {
	if !f.sealed {
		_ = f.Close()
		f.sealed = true
	}
}

// newFolder returns a folder that exists.
func newFolder(path string, expired func(offset int64) (bool, error)) (*folder, error) {
	identity, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return &folder{path: path, expired: expired, identity: identity, files: map[string]*syncedFile{}}, nil
}

// sync makes durable what was written into the folder. Events that are no longer to be
// found under the folder's name are an error: they are written into deleted files. After
// an error that is a shortage, the next call does what this one has left undone.
func (d *folder) sync() error {
	identity, err := os.Stat(d.path)
	if shortage(err) {
		return err
	}
	if err != nil || !os.SameFile(identity, d.identity) {
		return removed(d.path)
	}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	var grown []growth
	present := make(map[string]bool, len(entries))
	newest := d.newest(entries)
	for _, entry := range entries {
		name := entry.Name()
		if !entry.Type().IsRegular() || strings.HasSuffix(name, ".tmp") {
			continue
		}
		present[name] = true
		known := d.files[name]
		if known != nil && known.sealed {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // the next call sees it
		}
		if err != nil {
			return err
		}
		offset, segment := baseOffset(name)
		if known != nil && !os.SameFile(info, known.identity) {
			if segment || name == lockFile {
				return removed(filepath.Join(d.path, name))
			}
			known.seal()
			known = nil
		}
		if known == nil {
			if known, err = d.open(name); errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				return err
			}
			d.named = true
		}
		switch {
		case known.size != info.Size() || !known.modified.Equal(info.ModTime()):
			grown = append(grown, growth{known, info})
		case segment && offset < newest:
			known.seal()
		}
	}
	if err := d.forget(present); err != nil {
		return err
	}
	if err := syncFiles(grown); err != nil {
		return err
	}
	if d.named {
		if err := (durable.OS{}).SyncDir(d.path); err != nil {
			return err
		}
		d.named = false
	}
	return nil
}

// shortage reports whether err says that the process had no descriptor or memory to look
// at files. Nothing is lost by that. An error of fsync is never one.
func shortage(err error) bool {
	var at *fs.PathError
	if !errors.As(err, &at) || at.Op == "sync" {
		return false
	}
	return errors.Is(at, syscall.EMFILE) || errors.Is(at, syscall.ENFILE) || errors.Is(at, syscall.ENOMEM)
}

var errRemoved = errors.New("was removed or replaced while it was in use")

func removed(path string) error { return fmt.Errorf("%s %w", path, errRemoved) }

// open opens a file of the folder, to be synced.
func (d *folder) open(name string) (*syncedFile, error) {
	f, err := os.Open(filepath.Join(d.path, name))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	known := &syncedFile{File: f, identity: info, size: -1}
	d.files[name] = known
	return known, nil
}

// growth is a file that was written since its last fsync, and what it is now.
type growth struct {
	*syncedFile
	now os.FileInfo
}

// syncFiles fsyncs files at the same time: they share a flush of the disk.
func syncFiles(files []growth) error {
	errs := make([]error, len(files))
	var group sync.WaitGroup
	for i, f := range files {
		group.Go(func() { errs[i] = panics.Try(panics.Embedded, f.Sync) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, f := range files {
		f.size, f.modified = f.now.Size(), f.now.ModTime()
	}
	return nil
}

// forget drops files that are no longer there. It is an error if the broker needs one, or
// if it had events that retention has not deleted.
func (d *folder) forget(present map[string]bool) error {
	for name, f := range d.files {
		if present[name] {
			continue
		}
		if offset, segment := baseOffset(name); segment {
			expired, err := d.expired(offset)
			if err != nil {
				continue // ask again at the next call
			}
			if !expired {
				return removed(filepath.Join(d.path, name))
			}
		} else if slices.Contains(needed, name) {
			return removed(filepath.Join(d.path, name))
		}
		f.seal()
		delete(d.files, name)
	}
	return nil
}

// newest returns the first offset of the newest segment.
func (d *folder) newest(entries []os.DirEntry) (offset int64) {
	for _, entry := range entries {
		if first, ok := baseOffset(entry.Name()); ok {
			offset = max(offset, first)
		}
	}
	return offset
}

// baseOffset returns the first offset in a file of events or of their index.
func baseOffset(name string) (offset int64, ok bool) {
	if base, index := strings.CutSuffix(name, ".idx"); index {
		name = base + ".dat"
	}
	return segmentOffset(name)
}

// segmentOffset returns the first offset in a file of events.
func segmentOffset(name string) (offset int64, ok bool) {
	base, ok := strings.CutSuffix(name, ".dat")
	if !ok {
		return 0, false
	}
	offset, err := strconv.ParseInt(base, 10, 64)
	return offset, err == nil
}

func (d *folder) close() {
	for _, f := range d.files {
		f.seal()
	}
}

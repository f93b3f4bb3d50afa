package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Reader reads the folder of a store. Another process may write it at the same time.
type Reader struct{ root string }

// NewReader returns a Reader of the store at path.
func NewReader(path string) (*Reader, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("dir: %w", err)
	}
	return &Reader{root: root}, nil
}

// Location returns the names of the store and of the bucket in events.
func (r *Reader) Location() (store, bucket string) { return storeName, filepath.Base(r.root) }

var errKey = errors.New("not a key of this store")

// locate returns the path of key relative to root. Keys come from ids or from events.
// None may lead out of the folder or into tmp.
func (r *Reader) locate(key string) (string, error) {
	name := filepath.FromSlash(key)
	first, _, _ := strings.Cut(name, string(filepath.Separator))
	clean := filepath.IsLocal(name) && filepath.Clean(name) == name
	if !clean || name == "." || first == tmpFolder {
		return "", fmt.Errorf("%w: %q", errKey, key)
	}
	return name, nil
}

// List calls each with the key and the length in bytes of every object, in the order of
// the keys. It stops at the first error and returns it.
func (r *Reader) List(ctx context.Context, each func(key string, length int64) error) error {
	return r.ListBelow(ctx, "", each)
}

// ListBelow is List for the objects in one folder, such as "2026/01/02/15/". A missing
// folder is empty.
func (r *Reader) ListBelow(
	ctx context.Context, folder string, each func(key string, length int64) error,
) error {
	top := r.root
	if folder != "" {
		name, err := r.locate(strings.TrimSuffix(folder, "/"))
		if err != nil {
			return fmt.Errorf("dir: %w", err)
		}
		top = filepath.Join(r.root, name)
	}
	return filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if path == top && top != r.root && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(r.root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel == tmpFolder {
				return filepath.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return each(filepath.ToSlash(rel), info.Size())
	})
}

// Open reads length bytes at offset of an object, or fewer when the object ends before.
// It returns fs.ErrNotExist when there is no such object.
func (r *Reader) Open(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	name, err := r.locate(key)
	if err != nil {
		return nil, fmt.Errorf("dir: %w", err)
	}
	f, err := os.Open(filepath.Join(r.root, name))
	if err != nil {
		return nil, fmt.Errorf("dir: %w", err)
	}
	return &section{SectionReader: io.NewSectionReader(f, offset, length), f: f}, nil
}

type section struct {
	*io.SectionReader
	f *os.File
}

func (s *section) Close() error { return s.f.Close() }

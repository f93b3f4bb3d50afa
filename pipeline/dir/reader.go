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

// Reader reads a store's folder, also while another process writes it.
type Reader struct{ root string }

// NewReader reads the store at path.
func NewReader(path string) (*Reader, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("dir: %w", err)
	}
	return &Reader{root: root}, nil
}

var errKey = errors.New("not a key of this store")

// locate gives a key's path below root. Keys come from ids or from events; none
// may lead out of the folder or into tmp.
func (r *Reader) locate(key string) (string, error) {
	name := filepath.FromSlash(key)
	first, _, _ := strings.Cut(name, string(filepath.Separator))
	if !filepath.IsLocal(name) || filepath.Clean(name) != name || name == "." || first == tmpFolder {
		return "", fmt.Errorf("%w: %q", errKey, key)
	}
	return name, nil
}

// List calls each with every object's key and length in octets, in the keys'
// order, until it returns an error.
func (r *Reader) List(ctx context.Context, each func(key string, length int64) error) error {
	return r.ListBelow(ctx, "", each)
}

// ListBelow lists like List what stands in a folder, as "2026/01/02/15/", alone. A
// folder that is not there is empty.
func (r *Reader) ListBelow(ctx context.Context, folder string, each func(key string, length int64) error) error {
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

// Open reads length octets at offset of an object; fewer come when the object
// ends before. The error of an object that is not there is fs.ErrNotExist.
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

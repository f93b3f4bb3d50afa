package adapters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"sluice/pipeline/pack"
)

// unpackMode is the mode of the files: only the owner may read mail.
const unpackMode = 0o600

// Unpack writes the messages and events of a pack to files in folder, and returns the
// number of files. It writes nowhere else and overwrites nothing.
func (r *Reader) Unpack(ctx context.Context, key, folder string) (files int, err error) {
	if !pack.IsPack(key) {
		return 0, fmt.Errorf("%s is no pack: their keys end in %s (sluice cat prints a message)", key, pack.Extension)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return 0, err
	}
	defer func() { _ = root.Close() }() // nothing is written through it
	object, err := r.open(ctx, Range{Key: key, Length: math.MaxInt64}, "")
	if err != nil {
		return 0, err
	}
	defer object.Close()
	err = pack.Each(object, func(name string, _ int64, content io.Reader) error {
		files++
		return writeNew(root, name, content)
	})
	if err != nil {
		return files, fmt.Errorf("%s: %w", key, err)
	}
	return files, nil
}

func writeNew(root *os.Root, name string, content io.Reader) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, unpackMode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

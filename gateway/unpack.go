package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"

	"sluice/gateway/config"
	"sluice/pipeline/pack"
)

// unpackMode of the files: mail is nobody's business but its owner's.
const unpackMode = 0o600

// unpack writes a pack's messages and events into files of a folder. It writes
// nowhere else and over nothing.
func (w world) unpack(ctx context.Context, c *config.Config, key, folder string) error {
	store, err := openReader(c)
	if err != nil {
		return err
	}
	if !pack.IsPack(key) {
		return fmt.Errorf("%s is no pack: their keys end in %s (sluice cat prints a message)", key, pack.Extension)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // nothing is written through it
	object, err := store.Open(ctx, key, 0, math.MaxInt64)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no object %s in the store", key)
	}
	if err != nil {
		return err
	}
	defer object.Close()
	files := 0
	err = pack.Each(object, func(name string, _ int64, octets io.Reader) error {
		files++
		return writeNew(root, name, octets)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	_, err = fmt.Fprintf(w.out, "%d files in %s\n", files, folder)
	return err
}

func writeNew(root *os.Root, name string, octets io.Reader) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, unpackMode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, octets)
	return errors.Join(err, f.Close())
}

package pack

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
)

// IsPack reports whether key is that of a pack.
func IsPack(key string) bool { return strings.HasSuffix(key, Extension) }

// Each reads a pack and calls each with every entry: the messages, then the events. It
// stops at the first error and returns it.
func Each(r io.Reader, each func(name string, size int64, content io.Reader) error) error {
	entries := tar.NewReader(r)
	for {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("pack: %w", err)
		}
		// A pack is plain ustar. Other formats can state a size that is not there: a
		// sparse file of a few bytes reads as petabytes.
		plain := h.Format&tar.FormatUSTAR != 0 && h.PAXRecords == nil && h.Typeflag == tar.TypeReg
		if !plain || !filepath.IsLocal(h.Name) || strings.ContainsAny(h.Name, `/\`) {
			return fmt.Errorf("pack: entry %q is no message and no list of events", h.Name)
		}
		if err := each(h.Name, h.Size, entries); err != nil {
			return err
		}
	}
}

// MessageID returns the id in the name of an entry. ok is false when the entry is not a
// message.
func MessageID(name string) (id string, ok bool) {
	return strings.CutSuffix(name, MessageExtension)
}

var errFound = errors.New("found")

// Find reads a pack up to the message with this id and passes its content to found. It
// returns fs.ErrNotExist when the pack has no such message.
func Find(r io.Reader, id string, found func(content io.Reader) error) error {
	err := Each(r, func(name string, _ int64, content io.Reader) error {
		if got, ok := MessageID(name); !ok || got != id {
			return nil
		}
		if err := found(content); err != nil {
			return err
		}
		return errFound
	})
	switch {
	case errors.Is(err, errFound):
		return nil
	case err != nil:
		return err
	}
	return fs.ErrNotExist
}

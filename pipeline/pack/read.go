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

// IsPack says whether a key is that of a pack.
func IsPack(key string) bool { return strings.HasSuffix(key, Extension) }

// Each reads a pack and calls each with every entry, messages and last the events,
// until it returns an error.
func Each(r io.Reader, each func(name string, size int64, octets io.Reader) error) error {
	entries := tar.NewReader(r)
	for {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("pack: %w", err)
		}
		// What we write is plain ustar. Other forms can say a size that is not there:
		// a sparse file of a few octets reads as petabytes.
		if h.Format&tar.FormatUSTAR == 0 || h.PAXRecords != nil || h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) || strings.ContainsAny(h.Name, `/\`) {
			return fmt.Errorf("pack: entry %q is no message and no list of events", h.Name)
		}
		if err := each(h.Name, h.Size, entries); err != nil {
			return err
		}
	}
}

// MessageID gives the id in an entry's name; false when it is no message.
func MessageID(name string) (id string, ok bool) { return strings.CutSuffix(name, MessageExtension) }

var errFound = errors.New("found")

// Find reads a pack up to the message with this id and hands it to found; the
// error is fs.ErrNotExist when it is not in it.
func Find(r io.Reader, id string, found func(octets io.Reader) error) error {
	err := Each(r, func(name string, _ int64, octets io.Reader) error {
		if got, ok := MessageID(name); !ok || got != id {
			return nil
		}
		if err := found(octets); err != nil {
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

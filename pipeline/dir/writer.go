package dir

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"hash"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"strconv"
	"syscall"

	"sluice/internal/panics"
	"sluice/pipeline"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// writeBuffer is the size of a writer's buffer. It joins the header and small slabs in
// one write call; a slab as large as the buffer bypasses it.
const writeBuffer = 64 << 10

// writer is the state of one goroutine that writes messages one after another.
type writer struct {
	store  *Store
	number int
	count  int
	buffer *bufio.Writer
	digest hash.Hash
}

func newWriter(s *Store, number int) *writer {
	return &writer{
		store:  s,
		number: number,
		buffer: bufio.NewWriterSize(nil, writeBuffer),
		digest: sha256.New(),
	}
}

// write stores a message: it writes a file in tmp, fsyncs it, renames it to the key, and
// fsyncs the folder of the key. Only then is the message durable under its name.
func (w *writer) write(m *pipeline.Message) (pipeline.Blob, pipeline.Digest, error) {
	blob := pipeline.Blob{
		Store:  storeName,
		Bucket: w.store.bucket,
		Key:    m.Key(),
		Length: m.Length(),
		Added:  int64(len(m.Header)),
	}
	var digest pipeline.Digest
	err := w.writeObject(blob.Key, func(f file) (err error) {
		blob.CRC32C, err = w.copyMessage(f, m)
		return err
	})
	if err != nil {
		return pipeline.Blob{}, digest, err
	}
	w.digest.Sum(digest[:0])
	return blob, digest, nil
}

// writeObject creates the file of key with what fill writes.
func (w *writer) writeObject(key string, fill func(f file) error) error {
	target, err := w.store.locate(key)
	if err != nil {
		return fail("key", err)
	}
	w.count++
	temporary := filepath.Join(w.store.tmp, strconv.Itoa(w.number)+"-"+strconv.Itoa(w.count))
	if err = w.writeFile(temporary, fill); err == nil {
		err = w.rename(temporary, target)
	}
	if err != nil {
		_ = w.store.fs.Remove(temporary) // none after a failed create or a successful rename
	}
	return err
}

// writeFile creates a file with what fill writes, durably.
func (w *writer) writeFile(name string, fill func(f file) error) error {
	f, err := w.store.fs.Create(name)
	if err != nil {
		return fail("create", err)
	}
	if err := panics.Try(panics.Store, func() error { return fill(f) }); err != nil {
		_ = f.Close()
		return fail("write", err)
	}
	if err := f.Sync(); err != nil {
		_ = f.Close()
		return fail("fsync", err)
	}
	if err := f.Close(); err != nil {
		return fail("close", err)
	}
	return nil
}

// copyMessage writes a message and computes its checksums in the same pass.
func (w *writer) copyMessage(f file, m *pipeline.Message) (uint32, error) {
	w.buffer.Reset(f)
	defer w.buffer.Reset(nil) // keeps neither the file nor the message alive
	w.digest.Reset()
	crc := crc32.Update(0, castagnoli, m.Header)
	if _, err := w.buffer.Write(m.Header); err != nil {
		return 0, err
	}
	for _, chunk := range m.Body.Chunks() {
		crc = crc32.Update(crc, castagnoli, chunk)
		w.digest.Write(chunk)
		if _, err := w.buffer.Write(chunk); err != nil {
			return 0, err
		}
	}
	return crc, w.buffer.Flush()
}

// copyPieces writes the pieces of a pack.
func (w *writer) copyPieces(f file, pieces [][]byte) error {
	w.buffer.Reset(f)
	defer w.buffer.Reset(nil)
	for _, piece := range pieces {
		if _, err := w.buffer.Write(piece); err != nil {
			return err
		}
	}
	return w.buffer.Flush()
}

// rename moves a finished file to its key, durably.
func (w *writer) rename(temporary, target string) error {
	s := w.store
	rel := filepath.Dir(target)
	folder := filepath.Join(s.root, rel)
	name := filepath.Join(s.root, target)
	if err := s.folders.ensure(rel); err != nil {
		return fail("mkdir", err)
	}
	err := s.fs.Rename(temporary, name)
	if errors.Is(err, fs.ErrNotExist) { // someone removed an empty folder
		s.folders.forget()
		if err := s.folders.ensure(rel); err != nil {
			return fail("mkdir", err)
		}
		err = s.fs.Rename(temporary, name)
	}
	if err != nil {
		return fail("rename", err)
	}
	if err := s.fs.SyncDir(folder); err != nil {
		_ = s.fs.Remove(name) // the sender will send the message again
		return fail("fsync folder", err)
	}
	return nil
}

// fail returns err as a pipeline.Failure. A full disk or quota is KindFull, every other
// failure KindTemporary.
func fail(op string, err error) error {
	kind := pipeline.KindTemporary
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		kind = pipeline.KindFull
	}
	return &pipeline.Failure{Kind: kind, Op: "dir: " + op, Err: err}
}

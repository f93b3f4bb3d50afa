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

	"sluice/pipeline"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// writeBuffer gathers the header and small slabs into one write call; a slab as
// large as the buffer goes past it.
const writeBuffer = 64 << 10

// writer writes messages one after another: what one goroutine of the pool keeps.
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

// write stores a message: the bytes into a file under tmp, fsync, rename to the
// key, fsync of the key's folder. Only then is it durable under its name.
func (w *writer) write(m *pipeline.Message) (pipeline.Blob, pipeline.Digest, error) {
	blob := pipeline.Blob{
		Store:  storeName,
		Bucket: w.store.bucket,
		Key:    m.Key(),
		Length: m.Length(),
		Added:  int64(len(m.Header)),
	}
	var digest pipeline.Digest
	err := w.object(blob.Key, func(f file) (err error) {
		blob.CRC32C, err = w.copy(f, m)
		return err
	})
	if err != nil {
		return pipeline.Blob{}, digest, err
	}
	w.digest.Sum(digest[:0])
	return blob, digest, nil
}

// object makes a file under a key of what fill writes into it.
func (w *writer) object(key string, fill func(f file) error) error {
	target, err := w.store.locate(key)
	if err != nil {
		return fail("key", err)
	}
	w.count++
	temporary := filepath.Join(w.store.tmp, strconv.Itoa(w.number)+"-"+strconv.Itoa(w.count))
	if err = w.make(temporary, fill); err == nil {
		err = w.place(temporary, target)
	}
	if err != nil {
		_ = w.store.fs.Remove(temporary) // after a failed create or a done rename there is none
	}
	return err
}

// make fills a new file, durably.
func (w *writer) make(name string, fill func(f file) error) error {
	f, err := w.store.fs.Create(name)
	if err != nil {
		return fail("create", err)
	}
	if err := fill(f); err != nil {
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

// copy writes a message and sums it on the way.
func (w *writer) copy(f file, m *pipeline.Message) (uint32, error) {
	w.buffer.Reset(f)
	defer w.buffer.Reset(nil) // neither file nor message are kept
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

// gather writes pieces.
func (w *writer) gather(f file, pieces [][]byte) error {
	w.buffer.Reset(f)
	defer w.buffer.Reset(nil)
	for _, piece := range pieces {
		if _, err := w.buffer.Write(piece); err != nil {
			return err
		}
	}
	return w.buffer.Flush()
}

// place gives a finished file its name.
func (w *writer) place(temporary, target string) error {
	s := w.store
	rel := filepath.Dir(target)
	folder := filepath.Join(s.root, rel)
	name := filepath.Join(s.root, target)
	if err := s.folders.ensure(rel); err != nil {
		return fail("mkdir", err)
	}
	err := s.fs.Rename(temporary, name)
	if errors.Is(err, fs.ErrNotExist) { // somebody removed an empty folder
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
		_ = s.fs.Remove(name) // its sender will be told to send it again
		return fail("fsync folder", err)
	}
	return nil
}

// fail gives a failure its kind: a full disk or quota is 452 for the sender,
// everything else may pass.
func fail(op string, err error) error {
	kind := pipeline.KindTemporary
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		kind = pipeline.KindFull
	}
	return &pipeline.Failure{Kind: kind, Op: "dir: " + op, Err: err}
}

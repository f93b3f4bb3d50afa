package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"sluice/pipeline/durable"
)

// The files of the broker beside its partitions.
const (
	lockFile   = "lock"
	metaFile   = "meta.json"
	topicsFile = "topics.json"
	groupsFile = "groups.log"
	pidsFile   = "pids.log"
)

// needed are the files that must stay while the broker runs. Without the lock another
// process could write too; without the others the events, or what groups have read, would
// not be found after a kill.
var needed = []string{lockFile, metaFile, topicsFile, groupsFile}

// repair prepares a data folder for kfake, which reads a file up to the first bytes that
// are damaged and cuts off or ignores all that follows. Here only the damage goes: each
// intact batch of events and each intact commit stays, at its offset. A file that was
// damaged elsewhere than at its end, as a loss of power leaves it, is kept beside.
//
// A folder that has events and not the files that say what they are is an error: kfake
// would begin a new log in the same files.
func repair(data string, log *slog.Logger) error {
	r := repairer{log: log}
	folders, err := os.ReadDir(partitionsFolder(data))
	if err != nil {
		return err
	}
	events := false
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		has, err := r.partition(filepath.Join(partitionsFolder(data), folder.Name()))
		if err != nil {
			return err
		}
		events = events || has
	}
	for _, name := range []string{metaFile, topicsFile} {
		if _, err := os.Stat(filepath.Join(data, name)); errors.Is(err, fs.ErrNotExist) && events {
			return fmt.Errorf("%s has events, but no %s: put that back, or move the folder away to begin an empty log",
				data, name)
		}
	}
	for _, name := range []string{groupsFile, pidsFile} {
		if _, err := r.file(filepath.Join(data, name), entryLength); err != nil {
			return err
		}
	}
	return nil
}

type repairer struct {
	log    *slog.Logger
	buffer []byte // of the largest file: a segment may have 128 MiB
}

// partition repairs the files in the folder of a partition, and reports whether there are
// events in it.
func (r *repairer) partition(folder string) (events bool, err error) {
	segments, err := listSegments(folder, 0)
	if err != nil {
		return false, err
	}
	var found snapshot
	for _, s := range segments {
		base := filepath.Join(folder, strconv.FormatInt(s.first, 10))
		size, err := r.file(base+".dat", func(raw []byte) int {
			n := batchLength(raw)
			if n > 0 {
				found.add(raw[:n])
			}
			return n
		})
		if err == nil {
			err = r.index(base + ".idx")
		}
		if err != nil {
			return false, err
		}
		found.Segments = append(found.Segments, snapshotSegment{Base: s.first, Size: int64(size)})
		events = events || size > 0
	}
	return events, found.write(folder)
}

// read returns the content of a file, until the next call. A missing file is empty.
func (r *repairer) read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r.buffer = slices.Grow(r.buffer[:0], int(info.Size()))[:info.Size()]
	n, err := io.ReadFull(f, r.buffer)
	return r.buffer[:n], err
}

// file removes what is no frame from a file of frames, and returns the size that it has
// then. length returns the length of the intact frame at the beginning of its argument, 0
// if there is none.
func (r *repairer) file(path string, length func([]byte) int) (size int, err error) {
	raw, err := r.read(path)
	if err != nil {
		return 0, err
	}
	intact, torn := salvage(raw, length)
	size = len(raw)
	for _, damage := range torn {
		size -= damage.to - damage.from
	}
	switch {
	case len(torn) == 0:
	case len(intact) == 0 || torn[0].from == size: // nothing intact follows
		r.log.Warn("embedded kafka: the end of a file is damaged and was cut off", "file", path,
			"from", torn[0].from, "bytes", len(raw)-size)
		return size, os.Truncate(path, int64(size))
	default:
		kept, err := replace(path, raw, bytes.Join(intact, nil))
		if err != nil {
			return 0, err
		}
		r.log.Error("embedded kafka: a file is damaged and was repaired: what was in these bytes is lost",
			"file", path, "damage", fmt.Sprint(torn), "kept", kept)
	}
	return size, nil
}

// replace replaces the content of a file. It keeps the old one beside it, under a name
// that is free: another repair may have kept what it lost.
func replace(path string, old, content []byte) (kept string, err error) {
	fresh := path + ".tmp" // kfake removes it, should this process end here
	if err := writeSynced(fresh, os.O_TRUNC, content); err != nil {
		return "", err
	}
	kept = path + ".damaged"
	for n := 2; ; n++ {
		if err = writeSynced(kept, os.O_EXCL, old); !errors.Is(err, fs.ErrExist) {
			break
		}
		kept = fmt.Sprintf("%s.%d.damaged", path, n)
	}
	if err != nil {
		return "", err
	}
	if err := os.Rename(fresh, path); err != nil {
		return kept, err
	}
	return kept, durable.OS{}.SyncDir(filepath.Dir(path))
}

// writeSynced creates a file. On failure it leaves none.
func writeSynced(path string, flag int, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|flag, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}

// fileMode is for Sluice's user and group alone.
const fileMode = 0o640

// gap is a part of a file that is damaged.
type gap struct{ from, to int }

// String implements fmt.Stringer.
func (g gap) String() string { return fmt.Sprintf("%d-%d", g.from, g.to) }

// salvage returns the intact runs of frames in raw, and what is between them.
func salvage(raw []byte, length func([]byte) int) (intact [][]byte, torn []gap) {
	for at := 0; at < len(raw); {
		from := at
		for n := length(raw[at:]); n > 0; n = length(raw[at:]) {
			at += n
		}
		if at > from {
			intact = append(intact, raw[from:at])
		}
		from = at
		for at < len(raw) && length(raw[at:]) == 0 {
			at++
		}
		if at > from {
			torn = append(torn, gap{from, at})
		}
	}
	return intact, torn
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// The layout of a record batch: https://kafka.apache.org/documentation/#recordbatch
const (
	batchHeader = 61
	lengthAt    = 8
	magicAt     = 16
	crcAt       = 17
	crcFrom     = 21
)

// batchLength returns the length of the intact batch of records at the beginning of raw.
func batchLength(raw []byte) int {
	if len(raw) < batchHeader || raw[magicAt] != 2 || raw[0] != 0 {
		return 0
	}
	n := lengthAt + 4 + int(binary.BigEndian.Uint32(raw[lengthAt:]))
	if n < batchHeader || n > len(raw) {
		return 0
	}
	if crc32.Checksum(raw[crcFrom:n], castagnoli) != binary.BigEndian.Uint32(raw[crcAt:]) {
		return 0
	}
	return n
}

// entryLength returns the length of the intact entry at the beginning of raw: its length,
// its checksum, its version and text.
func entryLength(raw []byte) int {
	const header, version = 8, 2
	if len(raw) < header+version {
		return 0
	}
	n := header + int(binary.LittleEndian.Uint32(raw))
	if n < header+version || n > len(raw) {
		return 0
	}
	if crc32.Checksum(raw[header:n], castagnoli) != binary.LittleEndian.Uint32(raw[4:]) {
		return 0
	}
	return n
}

// index removes the index of a segment if it is damaged: kfake would read its entries in
// the wrong place. It does without one: an index says which batches belong to
// transactions, and Sluice has none.
func (r *repairer) index(path string) error {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	const entry, version = 15, 1
	for len(raw) >= entry && raw[0] == version && raw[1] == byte(crc32.Checksum(raw[2:entry], castagnoli)) {
		raw = raw[entry:]
	}
	if len(raw) == 0 {
		return nil
	}
	r.log.Warn("embedded kafka: an index is damaged and was removed: no event is lost", "file", path)
	return os.Remove(path)
}

package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"sluice/pipeline"
	"sluice/pipeline/pack"
)

// maxEvent bounds a line of a pack's events in bytes. A larger event does not fit in the
// log either.
const maxEvent = 4 << 20

// checkPack checks each message of a pack. An entry without an event is an orphan. An
// entry with one must have the same event in the pack's own list, from which the log can
// be rebuilt.
func (a *auditor) checkPack(ctx context.Context, key string) error {
	r, err := a.store.Open(ctx, key, 0, math.MaxInt64)
	if err != nil {
		return fmt.Errorf("audit: %s: %w", key, err)
	}
	defer r.Close()
	entries, listed, err := readPack(r)
	if err == nil {
		err = sameOrder(entries, listed)
	}
	if err != nil {
		a.report.Altered = append(a.report.Altered, Finding{key, err.Error()})
		return nil
	}
	a.report.Packs++
	a.report.Stored += len(entries)
	orphans := 0
	for i, entry := range entries {
		announced := a.announced(entry.id, key)
		if announced == nil {
			orphans++
			a.report.Orphans = append(a.report.Orphans, key+"#"+entry.id+pack.MessageExtension)
		}
		reason := ""
		switch blob := listed[i].Blob; {
		case announced != nil && !bytes.Equal(listed[i].value, announced.value):
			reason = "the events in " + key + " and in the log differ"
		case blob.Key != key || blob.Offset != entry.offset || blob.Length != entry.size:
			reason = fmt.Sprintf("altered: its entry in %s is at %d with %d bytes, event says %s at %d with %d",
				key, entry.offset, entry.size, blob.Key, blob.Offset, blob.Length)
		case announced == nil && blob.CRC32C != entry.crc:
			reason = fmt.Sprintf("altered: CRC32C of its entry in %s is %08x, its event there says %08x", key, entry.crc, blob.CRC32C)
		}
		if reason != "" {
			a.report.Altered = append(a.report.Altered, Finding{entry.id, reason})
		}
	}
	if orphans == len(entries) { // then the whole object is one orphan
		a.report.Orphans = append(a.report.Orphans[:len(a.report.Orphans)-orphans], key)
	}
	return nil
}

// packed is the entry of a message in a pack.
type packed struct {
	id           string
	offset, size int64
	crc          uint32
}

// readPack reads a whole pack.
func readPack(r io.Reader) (entries []packed, listed []*logged, err error) {
	at := &position{r: r}
	err = pack.Each(at, func(name string, size int64, content io.Reader) (err error) {
		if id, ok := pack.MessageID(name); ok {
			entry, crc := packed{id: id, offset: at.n, size: size}, crc32.New(castagnoli)
			_, err = io.Copy(crc, content)
			entry.crc = crc.Sum32()
			entries = append(entries, entry)
			return err
		}
		listed, err = readList(content)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if n, err := io.Copy(io.Discard, r); err != nil || n > 0 {
		return nil, nil, errors.Join(fmt.Errorf("%d bytes behind its end", n), err)
	}
	return entries, listed, nil
}

// position is a reader that knows how far it has read.
type position struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (p *position) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.n += int64(n)
	return n, err
}

// announced returns the event in the log for a message in the object of this key, or nil.
func (a *auditor) announced(id, key string) *logged {
	for _, e := range a.events[id] {
		if e.Blob.Key == key {
			return e
		}
	}
	return nil
}

// readList reads a pack's list of events. They have no headers.
func readList(content io.Reader) (listed []*logged, err error) {
	lines := bufio.NewScanner(content)
	lines.Buffer(nil, maxEvent)
	lines.Split(wholeLines)
	for lines.Scan() {
		e, err := pipeline.ParseEvent(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pack.EventsName, err)
		}
		listed = append(listed, &logged{Event: e, value: bytes.Clone(lines.Bytes())})
	}
	return listed, lines.Err()
}

// wholeLines splits at each LF, which every line must have. bufio.ScanLines would also
// take lines with CRLF, and a last one without an end.
func wholeLines(data []byte, atEnd bool) (advance int, line []byte, err error) {
	if end := bytes.IndexByte(data, '\n'); end >= 0 {
		return end + 1, data[:end], nil
	}
	if atEnd && len(data) > 0 {
		return 0, nil, errors.New(pack.EventsName + ": a line without an end")
	}
	return 0, nil, nil
}

// sameOrder reports an error unless a pack lists one event for each of its messages, in
// their order.
func sameOrder(entries []packed, listed []*logged) error {
	if len(listed) != len(entries) {
		return fmt.Errorf("%s: %d events of %d messages", pack.EventsName, len(listed), len(entries))
	}
	for i, entry := range entries {
		if id := listed[i].ID.String(); id != entry.id {
			return fmt.Errorf("%s: event %d is of %s, message %d is %s", pack.EventsName, i, id, i, entry.id)
		}
	}
	return nil
}

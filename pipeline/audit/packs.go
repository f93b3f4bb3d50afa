package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
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
	var ids []string
	var listed []listedEvent
	err = pack.Each(r, func(name string, _ int64, content io.Reader) error {
		if id, ok := pack.MessageID(name); ok {
			ids = append(ids, id)
			return nil
		}
		var err error
		listed, err = readList(content)
		return err
	})
	if err == nil {
		err = sameOrder(ids, listed)
	}
	if err != nil {
		a.report.Altered = append(a.report.Altered, Finding{key, err.Error()})
		return nil
	}
	a.report.Packs++
	a.report.Stored += len(ids)
	orphans := 0
	for i, id := range ids {
		announced := a.announced(id, key)
		if announced == nil {
			orphans++
			a.report.Orphans = append(a.report.Orphans, key+"#"+id+pack.MessageExtension)
			continue
		}
		if !bytes.Equal(listed[i].value, announced.value) {
			reason := "the events in " + key + " and in the log differ"
			a.report.Altered = append(a.report.Altered, Finding{id, reason})
		}
	}
	if orphans == len(ids) { // then the whole object is one orphan
		a.report.Orphans = append(a.report.Orphans[:len(a.report.Orphans)-orphans], key)
	}
	return nil
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

// listedEvent is a line of a pack's events.
type listedEvent struct {
	id    string
	value []byte
}

func readList(content io.Reader) (listed []listedEvent, err error) {
	lines := bufio.NewScanner(content)
	lines.Buffer(nil, maxEvent)
	lines.Split(wholeLines)
	for lines.Scan() {
		e, err := pipeline.ParseEvent(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pack.EventsName, err)
		}
		listed = append(listed, listedEvent{e.ID.String(), bytes.Clone(lines.Bytes())})
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
func sameOrder(ids []string, listed []listedEvent) error {
	if len(listed) != len(ids) {
		return fmt.Errorf("%s: %d events of %d messages", pack.EventsName, len(listed), len(ids))
	}
	for i, id := range ids {
		if listed[i].id != id {
			return fmt.Errorf("%s: event %d is of %s, message %d is %s", pack.EventsName, i, listed[i].id, i, id)
		}
	}
	return nil
}

package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"

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
	listed := map[string]*pipeline.Event{}
	err = pack.Each(r, func(name string, _ int64, content io.Reader) error {
		if id, ok := pack.MessageID(name); ok {
			ids = append(ids, id)
			return nil
		}
		return readList(content, listed)
	})
	if err != nil {
		a.report.Altered = append(a.report.Altered, Finding{key, err.Error()})
		return nil
	}
	a.report.Packs++
	a.report.Stored += len(ids)
	orphans := 0
	for _, id := range ids {
		announced := a.announced(id, key)
		if announced == nil {
			orphans++
			a.report.Orphans = append(a.report.Orphans, key+"#"+id+pack.MessageExtension)
			continue
		}
		if !reflect.DeepEqual(listed[id], announced) {
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
func (a *auditor) announced(id, key string) *pipeline.Event {
	for _, e := range a.events[id] {
		if e.Blob.Key == key {
			return e
		}
	}
	return nil
}

func readList(content io.Reader, listed map[string]*pipeline.Event) error {
	lines := bufio.NewScanner(content)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		e, err := pipeline.ParseEvent(lines.Bytes())
		if err != nil {
			return fmt.Errorf("%s: %w", pack.EventsName, err)
		}
		id := e.ID.String()
		if _, again := listed[id]; again {
			return errors.New(pack.EventsName + ": two events of " + id)
		}
		listed[id] = e
	}
	return lines.Err()
}

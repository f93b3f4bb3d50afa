package indexer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"sluice/index"
	"sluice/internal/panics"
	"sluice/pipeline"
)

// item is a record on its way into the database.
type item struct {
	record Record
	offset *offset
	event  *pipeline.Event

	// What it has come to, if anything: a row, or a result with a reason.
	row    *index.Message
	result string
	reason string
	taken  bool // it is pending no more

	// How reading its message failed last, how often in a row and since when, and when
	// it is tried again.
	failure  failure
	err      error
	attempts int
	since    time.Time
	proofs   int // how often in a row the store had another message after that
	again    time.Time
}

// failure is a way in which reading a message fails.
type failure int

const (
	failed     failure = iota + 1 // the store could not be used
	missing                       // there is no such object
	short                         // the object ends before the message does
	mismatched                    // the octets are others than were received
)

// settled reports whether it is known what becomes of the record.
func (i *item) settled() bool { return i.row != nil || i.result != "" }

// poison notes that the record cannot be indexed.
func (i *item) poison(result string, reason any) {
	i.result, i.reason = result, fmt.Sprint(reason)
}

// fail notes that reading the message has failed.
func (i *item) fail(kind failure, err error, now time.Time) {
	if i.failure != kind {
		i.failure, i.attempts, i.proofs, i.since = kind, 0, 0, now
	}
	i.attempts++
	i.err = err
}

// slowest bounds how far the clocks of gateways are ahead of ours.
const slowest = 24 * time.Hour

// examine parses the event of a record and checks what the store need not be asked for.
func (x *Indexer) examine(i *item) {
	err := panics.Try(panics.Index, func() (err error) {
		if i.event, err = pipeline.ParseEvent(i.record.Value); err == nil {
			err = check(i.event, string(i.record.Key))
		}
		return err
	})
	if err != nil {
		i.poison(PoisonEvent, err)
		return
	}
	switch now, at := x.options.Now(), i.event.ID.Time(); {
	case at.Sub(now) > slowest:
		i.poison(PoisonFuture, fmt.Sprintf("the id is of %s", at.Format(time.RFC3339)))
	case x.options.Retention > 0 && now.Sub(at) > x.options.Retention:
		i.result = Expired
	}
}

var errBlob = errors.New("event: blob and message.size do not fit")

// check refuses an event that no gateway writes, and that a store could not answer for.
func check(e *pipeline.Event, key string) error {
	if id := e.ID.String(); id != key {
		return fmt.Errorf("the record's key is %.60q, and not the id of its event", key)
	}
	b := &e.Blob
	if b.Added > b.Length || b.Length-b.Added != e.Message.Size || b.Offset+b.Length < b.Offset {
		return errBlob
	}
	for element := range strings.SplitSeq(b.Key, "/") {
		if len(element) > 255 {
			return fmt.Errorf("event: blob.key %.60q… is no key", b.Key)
		}
	}
	if len(b.Key) > 1024 || !fs.ValidPath(b.Key) || path.Dir(b.Key) == "." || strings.ContainsRune(b.Key, 0) {
		return fmt.Errorf("event: blob.key %.60q is no key", b.Key)
	}
	return nil
}

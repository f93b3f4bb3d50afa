// Package audit checks the promise of a 250. Every message that was acknowledged must
// have its event in the log, and the event its unaltered object in the store.
package audit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/pack"
)

// StoreReader reads an object store. pipeline/dir and pipeline/s3 have one.
type StoreReader interface {
	// List calls each with the key and the length in bytes of every object. It stops at
	// the first error and returns it.
	List(ctx context.Context, each func(key string, length int64) error) error
	// Open reads length bytes at offset of an object, or fewer when the object ends
	// before. It returns fs.ErrNotExist when there is no such object.
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	// Location returns the names of the store and of the bucket in the events of its
	// messages.
	Location() (store, bucket string)
}

// LogReader reads an event log. pipeline/kafka has one.
type LogReader interface {
	// Read calls each with the key, value and headers of every event that is in the log
	// now. It stops at the first error and returns it.
	Read(ctx context.Context, each func(key, value []byte, headers []pipeline.EventHeader) error) error
}

// Acknowledged is a message whose sender got 250.
type Acknowledged struct {
	// ID is the id in the reply.
	ID string `json:"id"`
	// SHA256, in hex, and Size, in bytes, are of what was sent, before dot-stuffing. When
	// SHA256 is empty neither is compared.
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	// Event has the fields of the event that the client determines (determined). They are
	// not compared when it is nil.
	Event *pipeline.Event `json:"event,omitempty"`
	// Begun is when DATA was sent, Answered when the 250 was read, by the clock of the
	// gateway. They are not compared when they are zero.
	Begun    time.Time `json:"begun,omitzero"`
	Answered time.Time `json:"answered,omitzero"`
}

// Run compares what was acknowledged with store and log. It returns an error only if it
// could not read them; what it found is in the report.
func Run(
	ctx context.Context, acknowledged []Acknowledged, store StoreReader, log LogReader,
) (*Report, error) {
	a := &auditor{
		store:      store,
		report:     &Report{Acknowledged: len(acknowledged)},
		events:     map[string][]*logged{},
		invalid:    map[string]error{},
		referenced: map[string]*logged{},
	}
	if err := log.Read(ctx, a.addEvent); err != nil {
		return nil, fmt.Errorf("audit: read the log: %w", err)
	}
	told := make(map[string]struct{}, len(acknowledged))
	for _, ack := range acknowledged {
		if _, twice := told[ack.ID]; twice {
			a.report.Altered = append(a.report.Altered, Finding{ack.ID, "the id of two acknowledged messages"})
		}
		told[ack.ID] = struct{}{}
		if err := a.checkAcknowledged(ctx, ack); err != nil {
			return nil, err
		}
	}
	for _, id := range a.order {
		if _, ok := told[id]; !ok {
			if err := a.checkUnacknowledged(ctx, id); err != nil {
				return nil, err
			}
		}
	}
	if err := store.List(ctx, a.addObject); err != nil {
		return nil, fmt.Errorf("audit: list the store: %w", err)
	}
	for _, key := range a.packs {
		if err := a.checkPack(ctx, key); err != nil {
			return nil, err
		}
	}
	return a.report, nil
}

type auditor struct {
	store      StoreReader
	report     *Report
	events     map[string][]*logged
	invalid    map[string]error   // events against the schema, by the record's key, the message's id
	order      []string           // ids in the order of their first events
	referenced map[string]*logged // an event by the key of its blob
	packs      []string           // keys of packs
}

// logged is an event with its record in the log, from which it was read.
type logged struct {
	*pipeline.Event
	value   []byte
	headers []pipeline.EventHeader
}

func (a *auditor) addEvent(key, value []byte, headers []pipeline.EventHeader) error {
	a.report.Events++
	e, err := pipeline.ParseEvent(value)
	if err != nil {
		a.report.Dangling = append(a.report.Dangling, Finding{string(key), err.Error()})
		if json.Valid(value) { // there is an event, though not as its schema wants it
			a.invalid[string(key)] = err
		}
		return nil
	}
	id := e.ID.String()
	if id != string(key) {
		a.report.Dangling = append(a.report.Dangling, Finding{string(key), "event says id " + id})
		return nil
	}
	if _, ok := a.events[id]; !ok {
		a.order = append(a.order, id)
	}
	l := &logged{e, bytes.Clone(value), slices.Clone(headers)}
	a.events[id] = append(a.events[id], l)
	a.referenced[e.Blob.Key] = l
	return nil
}

func (a *auditor) addObject(key string, length int64) error {
	if pack.IsPack(key) {
		a.packs = append(a.packs, key)
		return nil
	}
	a.report.Stored++
	e := a.referenced[key]
	switch {
	case e == nil:
		a.report.Orphans = append(a.report.Orphans, key)
	case length > e.Blob.Length: // one that ends too early was found when it was read
		reason := fmt.Sprintf("altered: object has %d bytes, event says %d", length, e.Blob.Length)
		a.report.Altered = append(a.report.Altered, Finding{e.ID.String(), reason})
	}
	return nil
}

// checkAcknowledged requires an event that matches ack and its object. If there are
// several, each must: consumers see them all.
func (a *auditor) checkAcknowledged(ctx context.Context, ack Acknowledged) error {
	events := a.events[ack.ID]
	if err := a.invalid[ack.ID]; len(events) == 0 && err != nil {
		a.report.Altered = append(a.report.Altered, Finding{ack.ID, err.Error()})
		return nil
	}
	if len(events) == 0 {
		a.report.Lost = append(a.report.Lost, Finding{ack.ID, "no event"})
		return nil
	}
	if len(events) > 1 {
		a.duplicate(ack.ID, fmt.Sprintf("%d events", len(events)))
	}
	var first error
	for _, e := range events {
		err := a.checkEvent(ctx, e, ack)
		if err == nil {
			continue
		}
		if !isFinding(err) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	switch {
	case first == nil:
	case errors.Is(first, errMissing):
		a.report.Lost = append(a.report.Lost, Finding{ack.ID, first.Error()})
	default:
		a.report.Altered = append(a.report.Altered, Finding{ack.ID, first.Error()})
	}
	return nil
}

// checkUnacknowledged checks the events of a message whose sender did not get 250, and
// probably sent it again. Consumers see these events too, so each must have its object.
func (a *auditor) checkUnacknowledged(ctx context.Context, id string) error {
	a.duplicate(id, "never acknowledged")
	for _, e := range a.events[id] {
		err := a.checkEvent(ctx, e, Acknowledged{})
		if isFinding(err) {
			a.report.Dangling = append(a.report.Dangling, Finding{id, err.Error()})
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *auditor) duplicate(id, reason string) {
	a.report.Duplicates = append(a.report.Duplicates, Finding{id, reason})
}

// Kinds of findings. With any other error the audit itself has failed.
var (
	errMissing = errors.New("no object")
	errAltered = errors.New("altered")
)

func isFinding(err error) bool { return errors.Is(err, errMissing) || errors.Is(err, errAltered) }

func altered(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errAltered}, args...)...)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkEvent compares an event with its object and with what was sent.
func (a *auditor) checkEvent(ctx context.Context, e *logged, ack Acknowledged) error {
	if store, bucket := a.store.Location(); e.Blob.Store != store || e.Blob.Bucket != bucket {
		return altered("event says store %q and bucket %q", e.Blob.Store, e.Blob.Bucket)
	}
	if alone := (&pipeline.Message{ID: e.ID}).Key(); !pack.IsPack(e.Blob.Key) && e.Blob.Key != alone {
		return altered("event says key %s", e.Blob.Key)
	}
	if err := ack.compare(e.Event); err != nil {
		return err
	}
	if pack.IsPack(e.Blob.Key) != (e.Blob.Container == pipeline.ContainerTar) {
		return altered("event says container %q of %s", e.Blob.Container, e.Blob.Key)
	}
	if got := e.Blob.Length - e.Blob.Added; got != e.Message.Size {
		return altered("event says size %d and a blob of %d", e.Message.Size, got)
	}
	if err := e.checkRecord(); err != nil {
		return err
	}
	crc, digest, err := a.sum(ctx, e.Event)
	if err != nil {
		return err
	}
	if crc != e.Blob.CRC32C {
		return altered("CRC32C is %08x, event says %08x", crc, e.Blob.CRC32C)
	}
	if digest != e.Message.SHA256 {
		return altered("SHA-256 is %x, event says %x", digest, e.Message.SHA256)
	}
	same := hex.EncodeToString(digest[:]) == ack.SHA256 && e.Message.Size == ack.Size
	if ack.SHA256 != "" && !same {
		return altered("SHA-256 is %x of %d bytes, sent was %s of %d",
			digest, e.Message.Size, ack.SHA256, ack.Size)
	}
	return nil
}

// sum reads the object of an event and checks the trace fields that Sluice added. It
// returns the CRC32C of all and the SHA-256 of the message below them.
func (a *auditor) sum(ctx context.Context, e *pipeline.Event) (uint32, pipeline.Digest, error) {
	r, err := a.store.Open(ctx, e.Blob.Key, e.Blob.Offset, e.Blob.Length)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, pipeline.Digest{}, fmt.Errorf("%w %s", errMissing, e.Blob.Key)
	}
	if err != nil {
		return 0, pipeline.Digest{}, fmt.Errorf("audit: %s: %w", e.ID, err)
	}
	defer r.Close()
	crc, digest := crc32.New(castagnoli), sha256.New()
	added, err := io.ReadAll(io.TeeReader(io.LimitReader(r, e.Blob.Added), crc))
	if err != nil {
		return 0, pipeline.Digest{}, fmt.Errorf("audit: %s: %w", e.ID, err)
	}
	content := bufio.NewReader(r)
	begin, _ := content.Peek(998) // an error comes again
	begin = bytes.Clone(begin)
	rest, err := io.Copy(io.MultiWriter(crc, digest), content)
	if err != nil {
		return 0, pipeline.Digest{}, fmt.Errorf("audit: %s: %w", e.ID, err)
	}
	if got := int64(len(added)) + rest; got != e.Blob.Length {
		return 0, pipeline.Digest{}, altered("object ends after %d bytes, event says %d", got, e.Blob.Length)
	}
	if crc.Sum32() == e.Blob.CRC32C { // else that is what is wrong
		err = checkTrace(e, added, begin)
	}
	if err != nil {
		return 0, pipeline.Digest{}, err
	}
	return crc.Sum32(), pipeline.Digest(digest.Sum(nil)), nil
}

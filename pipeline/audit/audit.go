// Package audit compares what senders were told with what is there: every
// message that was acknowledged with 250 must have its event, and the event its
// object, unaltered.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"sluice/pipeline/pack"
)

// StoreReader reads an object store. pipeline/dir has one.
type StoreReader interface {
	// List calls each with every object's key and length in octets until it
	// returns an error.
	List(ctx context.Context, each func(key string, length int64) error) error
	// Open reads length octets at offset of an object; fewer come when it ends
	// before. The error of an object that is not there is fs.ErrNotExist.
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
}

// LogReader reads an event log. pipeline/kafka has one.
type LogReader interface {
	// Read calls each with the key and value of every event that is in the log
	// now until it returns an error.
	Read(ctx context.Context, each func(key, value []byte) error) error
}

// Acknowledged is a message that its sender was told 250 for.
type Acknowledged struct {
	// ID stands in the reply.
	ID string `json:"id"`
	// SHA256, in hex, and Size in octets of what was sent, before dot-stuffing.
	// Without SHA256 both are unknown and not compared.
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// event is what of an event's value is compared.
type event struct {
	ID      string `json:"id"`
	Message struct {
		Size   int64  `json:"size"`
		SHA256 string `json:"sha256"`
	} `json:"message"`
	Blob struct {
		Key       string `json:"key"`
		Container string `json:"container"`
		Offset    int64  `json:"offset"`
		Length    int64  `json:"length"`
		Added     int64  `json:"added"`
		CRC32C    string `json:"crc32c"`
	} `json:"blob"`
}

// Run compares. Its error says that it could not; what it found is in the report.
func Run(ctx context.Context, acknowledged []Acknowledged, store StoreReader, log LogReader) (*Report, error) {
	a := &auditor{
		store:      store,
		report:     &Report{Acknowledged: len(acknowledged)},
		events:     map[string][]event{},
		referenced: map[string]struct{}{},
	}
	if err := log.Read(ctx, a.takeEvent); err != nil {
		return nil, fmt.Errorf("audit: read the log: %w", err)
	}
	told := make(map[string]struct{}, len(acknowledged))
	for _, ack := range acknowledged {
		told[ack.ID] = struct{}{}
		if err := a.checkAcknowledged(ctx, ack); err != nil {
			return nil, err
		}
	}
	for _, id := range a.order {
		if _, ok := told[id]; !ok {
			if err := a.checkUntold(ctx, id); err != nil {
				return nil, err
			}
		}
	}
	if err := store.List(ctx, a.takeObject); err != nil {
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
	events     map[string][]event
	order      []string            // ids as they came first
	referenced map[string]struct{} // keys that events point at
	packs      []string            // keys of objects that hold several messages
}

func (a *auditor) takeEvent(key, value []byte) error {
	a.report.Events++
	var e event
	if err := json.Unmarshal(value, &e); err != nil {
		a.report.Dangling = append(a.report.Dangling, Finding{string(key), "event is no JSON: " + err.Error()})
		return nil
	}
	if e.ID != string(key) {
		a.report.Dangling = append(a.report.Dangling, Finding{string(key), "event says id " + e.ID})
		return nil
	}
	if _, ok := a.events[e.ID]; !ok {
		a.order = append(a.order, e.ID)
	}
	a.events[e.ID] = append(a.events[e.ID], e)
	a.referenced[e.Blob.Key] = struct{}{}
	return nil
}

func (a *auditor) takeObject(key string, _ int64) error {
	if pack.IsPack(key) {
		a.packs = append(a.packs, key)
		return nil
	}
	a.report.Stored++
	if _, ok := a.referenced[key]; !ok {
		a.report.Orphans = append(a.report.Orphans, key)
	}
	return nil
}

// checkAcknowledged looks for one good event; of several, one must be good.
func (a *auditor) checkAcknowledged(ctx context.Context, ack Acknowledged) error {
	events := a.events[ack.ID]
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
			return nil
		}
		if !isFinding(err) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	if errors.Is(first, errMissing) {
		a.report.Lost = append(a.report.Lost, Finding{ack.ID, first.Error()})
	} else {
		a.report.Altered = append(a.report.Altered, Finding{ack.ID, first.Error()})
	}
	return nil
}

// checkUntold looks at events of messages whose sender was not told 250, and
// probably sent them again: consumers see them all the same, so that each must
// have its object.
func (a *auditor) checkUntold(ctx context.Context, id string) error {
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

// Kinds of findings; any other error says that the audit itself failed.
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
func (a *auditor) checkEvent(ctx context.Context, e event, ack Acknowledged) error {
	if pack.IsPack(e.Blob.Key) != (e.Blob.Container == "tar") {
		return altered("event says container %q of %s", e.Blob.Container, e.Blob.Key)
	}
	if got := e.Blob.Length - e.Blob.Added; got != e.Message.Size {
		return altered("event says size %d and a blob of %d", e.Message.Size, got)
	}
	crc, digest, err := a.sum(ctx, e)
	if err != nil {
		return err
	}
	if text := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc)); text != e.Blob.CRC32C {
		return altered("CRC32C is %s, event says %s", text, e.Blob.CRC32C)
	}
	if digest != e.Message.SHA256 {
		return altered("SHA-256 is %s, event says %s", digest, e.Message.SHA256)
	}
	if ack.SHA256 != "" && (digest != ack.SHA256 || e.Message.Size != ack.Size) {
		return altered("SHA-256 is %s of %d octets, sent was %s of %d", digest, e.Message.Size, ack.SHA256, ack.Size)
	}
	return nil
}

// sum reads an event's object: the CRC32C of all and the SHA-256, in hex, of
// what stands below what Sluice added.
func (a *auditor) sum(ctx context.Context, e event) (uint32, string, error) {
	r, err := a.store.Open(ctx, e.Blob.Key, e.Blob.Offset, e.Blob.Length)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, "", fmt.Errorf("%w %s", errMissing, e.Blob.Key)
	}
	if err != nil {
		return 0, "", fmt.Errorf("audit: %s: %w", e.ID, err)
	}
	defer r.Close()
	crc, digest := crc32.New(castagnoli), sha256.New()
	added, err := io.Copy(crc, io.LimitReader(r, e.Blob.Added))
	if err != nil {
		return 0, "", fmt.Errorf("audit: %s: %w", e.ID, err)
	}
	rest, err := io.Copy(io.MultiWriter(crc, digest), r)
	if err != nil {
		return 0, "", fmt.Errorf("audit: %s: %w", e.ID, err)
	}
	if added+rest != e.Blob.Length {
		return 0, "", altered("object ends after %d octets, event says %d", added+rest, e.Blob.Length)
	}
	return crc.Sum32(), hex.EncodeToString(digest.Sum(nil)), nil
}

package adapters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
	"time"

	"sluice/gateway/config"
	"sluice/index"
	"sluice/pipeline"
	"sluice/pipeline/pack"
)

// source is the part of a store that Reader uses.
type source interface {
	ListBelow(ctx context.Context, folder string, each func(key string, length int64) error) error
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
}

var sources = map[string]func(*config.Config) (source, error){
	config.KindDir:     dirReader,
	config.KindS3:      s3Reader,
	config.KindDiscard: discardReader,
}

// Reader reads the object store.
type Reader struct{ store source }

// OpenReader returns a reader of the store that c names.
func OpenReader(c *config.Config) (*Reader, error) {
	store, err := sourceOf(c)
	if err != nil {
		return nil, err
	}
	return &Reader{store}, nil
}

func sourceOf(c *config.Config) (source, error) {
	open, ok := sources[c.Store.Kind]
	if !ok {
		return nil, fmt.Errorf("store.kind %s has no reader", c.Store.Kind)
	}
	return open(c)
}

// OpenMessage opens a stored message. The error wraps fs.ErrNotExist if it is not there.
func (r *Reader) OpenMessage(ctx context.Context, b index.Blob) (io.ReadCloser, error) {
	return r.store.Open(ctx, b.Key, b.Offset, b.Length)
}

// Range is a range of an object, in bytes.
type Range struct {
	Key            string // of an object, or a message's id
	Offset, Length int64  // a negative length means to the end
}

// Copy writes a range of an object to w. If the key is just a message's id, it looks for
// an object of that message and then in packs, and writes the whole message.
func (r *Reader) Copy(ctx context.Context, w io.Writer, of Range) error {
	if id, err := pipeline.ParseID(of.Key); err == nil {
		return r.copyMessage(ctx, w, id)
	}
	if of.Offset < 0 {
		return fmt.Errorf("offset %d: the bytes of an object are counted from 0", of.Offset)
	}
	if of.Length < 0 {
		of.Length = math.MaxInt64
	}
	object, err := r.open(ctx, of, "; a message's id alone is looked for in packs too")
	if err != nil {
		return err
	}
	defer object.Close()
	n, err := io.Copy(w, object)
	if err == nil && of.Length != math.MaxInt64 && n < of.Length {
		err = fmt.Errorf("%s ends %d bytes before offset %d and length %d do", of.Key, of.Length-n, of.Offset, of.Length)
	}
	return err
}

// open opens a range of an object. hint is appended to the error if there is no such
// object.
func (r *Reader) open(ctx context.Context, of Range, hint string) (io.ReadCloser, error) {
	object, err := r.store.Open(ctx, of.Key, of.Offset, of.Length)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no object %s in the store%s", of.Key, hint)
	}
	return object, err
}

// slowest bounds the time between the creation of a message's id and its arrival in a
// pack: the time to receive the message plus the time until its reply.
const slowest = 2 * time.Hour

// copyMessage looks for an object of the message's own, and then in the packs begun after
// it, in order of time.
func (r *Reader) copyMessage(ctx context.Context, w io.Writer, id pipeline.ID) error {
	alone := string(pipeline.AppendKey(nil, id))
	object, err := r.store.Open(ctx, alone, 0, math.MaxInt64)
	if err == nil {
		defer object.Close()
		_, err = io.Copy(w, object)
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for hour := id.Time().Truncate(time.Hour); !hour.After(id.Time().Add(slowest)); hour = hour.Add(time.Hour) {
		found := errors.New("found")
		err := r.store.ListBelow(ctx, string(pipeline.AppendFolder(nil, hour)), func(key string, _ int64) error {
			if !begunAfter(key, id) {
				return nil
			}
			err := r.copyFromPack(ctx, w, key, id)
			if err == nil {
				return found
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
		if errors.Is(err, found) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("no message %s in the store, neither as %s nor in a pack of the %s after it", id, alone, config.ShortDuration(slowest))
}

// begunAfter reports whether key is that of a pack with a later id than id. Ids begin
// with the millisecond of their creation.
func begunAfter(key string, id pipeline.ID) bool {
	name := strings.TrimSuffix(key[strings.LastIndexByte(key, '/')+1:], pack.Extension)
	other, err := pipeline.ParseID(name)
	return err == nil && pack.IsPack(key) && !other.Time().Before(id.Time())
}

// copyFromPack writes one message of a pack. It fails with fs.ErrNotExist if the pack
// does not contain the message.
func (r *Reader) copyFromPack(ctx context.Context, w io.Writer, key string, id pipeline.ID) error {
	object, err := r.store.Open(ctx, key, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	defer object.Close()
	return pack.Find(object, id.String(), func(message io.Reader) error {
		_, err := io.Copy(w, message)
		return err
	})
}

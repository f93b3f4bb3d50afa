package main

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
	"sluice/pipeline"
	"sluice/pipeline/dir"
	"sluice/pipeline/pack"
	"sluice/pipeline/s3"
)

// reader reads the object store that the configuration names.
type reader interface {
	ListBelow(ctx context.Context, folder string, each func(key string, length int64) error) error
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
}

func openReader(c *config.Config) (reader, error) {
	switch c.Store.Kind {
	case config.KindDiscard:
		return nil, errors.New("store.kind is discard, which keeps nothing")
	case config.KindS3:
		return s3.NewReader(bucketOptions(c))
	}
	return dir.NewReader(c.ObjectsDir())
}

// section is what of an object is printed; Key may also be a message's id.
type section struct {
	Key            string
	Offset, Length int64 // octets; a negative length is all that follows
}

// cat prints a stored message.
func (w world) cat(ctx context.Context, c *config.Config, s section) error {
	store, err := openReader(c)
	if err != nil {
		return err
	}
	if id, err := pipeline.ParseID(s.Key); err == nil {
		return w.catMessage(ctx, store, id)
	}
	if s.Offset < 0 {
		return fmt.Errorf("offset %d: the octets of an object are counted from 0", s.Offset)
	}
	if s.Length < 0 {
		s.Length = math.MaxInt64
	}
	return w.print(ctx, store, s)
}

func (w world) print(ctx context.Context, store reader, s section) error {
	object, err := store.Open(ctx, s.Key, s.Offset, s.Length)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no object %s in the store; a message's id alone is looked for in packs too", s.Key)
	}
	if err != nil {
		return err
	}
	defer object.Close()
	n, err := io.Copy(w.out, object)
	if err == nil && s.Length != math.MaxInt64 && n < s.Length {
		err = fmt.Errorf("%s ends %d octets before offset %d and length %d do", s.Key, s.Length-n, s.Offset, s.Length)
	}
	return err
}

// slowest is how long after its id was minted a message may be put in a pack: the
// time that it took to arrive, and then that of its answer.
const slowest = 2 * time.Hour

// catMessage looks for a message by its id: for an object of its own, and then in
// the packs that were begun after it, the nearest first.
func (w world) catMessage(ctx context.Context, store reader, id pipeline.ID) error {
	alone := string(pipeline.AppendKey(nil, id))
	object, err := store.Open(ctx, alone, 0, math.MaxInt64)
	if err == nil {
		defer object.Close()
		_, err = io.Copy(w.out, object)
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for hour := id.Time().Truncate(time.Hour); !hour.After(id.Time().Add(slowest)); hour = hour.Add(time.Hour) {
		found := errors.New("found")
		err := store.ListBelow(ctx, string(pipeline.AppendFolder(nil, hour)), func(key string, _ int64) error {
			if !begunAfter(key, id) {
				return nil
			}
			err := w.find(ctx, store, key, id)
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

// begunAfter says whether a key is that of a pack with a later id: ids begin with
// the millisecond in which they were minted.
func begunAfter(key string, id pipeline.ID) bool {
	name := strings.TrimSuffix(key[strings.LastIndexByte(key, '/')+1:], pack.Extension)
	other, err := pipeline.ParseID(name)
	return err == nil && pack.IsPack(key) && !other.Time().Before(id.Time())
}

// find prints a message of a pack; fs.ErrNotExist when it is not in it.
func (w world) find(ctx context.Context, store reader, key string, id pipeline.ID) error {
	object, err := store.Open(ctx, key, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	defer object.Close()
	return pack.Find(object, id.String(), func(octets io.Reader) error {
		_, err := io.Copy(w.out, octets)
		return err
	})
}

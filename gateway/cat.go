package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"sluice/gateway/adapters"
	"sluice/gateway/config"
	"sluice/index"
	"sluice/pipeline"
)

// cat prints a stored message or a range of an object. Where a message is that is named by
// its id alone, the index says, if there is one.
func (a app) cat(ctx context.Context, c *config.Config, of adapters.Range) error {
	store, err := adapters.OpenReader(c)
	if err != nil {
		return err
	}
	if id, err := pipeline.ParseID(of.Key); err == nil && c.Indexes() {
		if at, ok := a.locate(ctx, c, id); ok {
			of = at
		}
	}
	return store.Copy(ctx, a.out, of)
}

// locateTime is how long cat waits for the index, without which it finds a message too.
const locateTime = 5 * time.Second

// locate asks the index where a message is stored.
func (a app) locate(ctx context.Context, c *config.Config, id pipeline.ID) (adapters.Range, bool) {
	ctx, cancel := context.WithTimeout(ctx, locateTime)
	defer cancel()
	store, err := adapters.OpenIndexReader(ctx, c)
	if err == nil {
		defer func() { _ = store.Close() }() // it was only read
		var m *index.Message
		if m, err = store.Get(ctx, id); err == nil {
			return rangeOf(m), true
		}
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, index.ErrNotFound) {
		say(a.err, fmt.Sprintf("sluice: %s is looked for in the store: %v\n", id, err))
	}
	return adapters.Range{}, false
}

// rangeOf returns where a message is stored.
func rangeOf(m *index.Message) adapters.Range {
	return adapters.Range{Key: m.Blob.Key, Offset: m.Blob.Offset, Length: m.Blob.Length}
}

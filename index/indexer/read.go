package indexer

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"sluice/index"
	"sluice/index/content"
	"sluice/internal/panics"
	"sluice/pipeline"
)

// read reads the messages of a run and makes their rows. It stops at the first message
// after which the rest cannot be read by the same request, and returns how many it has
// tried.
func (x *Indexer) read(ctx context.Context, r *run) (tried int) {
	began := time.Now()
	o, err := x.openObject(ctx, r.items[0].event.Blob.Key, r.begin, r.end-r.begin)
	defer o.close()
	defer func() { x.options.Observer.Read(tried, o.took, max(0, time.Since(began)-o.took)) }()
	if errors.Is(err, fs.ErrNotExist) {
		for _, i := range r.items {
			i.fail(missing, err, x.options.Now())
		}
		return len(r.items)
	}
	if err != nil {
		r.items[0].fail(failed, err, x.options.Now())
		return 1
	}
	buffered := buffers.Get().(*bufio.Reader)
	buffered.Reset(o)
	defer func() { buffered.Reset(nil); buffers.Put(buffered) }()
	at := r.begin
	for _, i := range r.items {
		b := &i.event.Blob
		tried++
		if err = skip(buffered, b.Offset-at+b.Added); err == nil {
			err = x.parse(buffered, i)
		}
		at = b.Offset + b.Length
		if errors.Is(err, errEnded) {
			i.fail(short, err, x.options.Now())
			return tried
		}
		if err != nil {
			i.fail(failed, err, x.options.Now())
			return tried
		}
	}
	return tried
}

// skip drops the next n bytes.
func skip(from *bufio.Reader, n int64) error {
	_, err := io.Copy(io.Discard, &cut{from: from, left: n})
	return err
}

// parse reads the message of an item and makes its row. An error is of the store; what is
// wrong with the message is noted in the item.
func (x *Indexer) parse(from *bufio.Reader, i *item) error {
	c := &cut{from: from, left: i.event.Message.Size}
	digest := sha256.New()
	var row *index.Message
	err := panics.Try(panics.Index, func() (err error) {
		row, err = x.row(i.event, io.TeeReader(c, digest))
		return err
	})
	if _, rest := io.Copy(digest, c); rest != nil {
		return rest
	}
	switch got := (pipeline.Digest)(digest.Sum(nil)); {
	case got != i.event.Message.SHA256:
		i.fail(mismatched, fmt.Errorf("the SHA-256 of what is stored is %x, not %x", got, i.event.Message.SHA256), x.options.Now())
	case err != nil:
		i.poison(PoisonParse, err)
	default:
		i.row = row
	}
	return nil
}

// row returns the row of a message, which r reads.
func (x *Indexer) row(e *pipeline.Event, r io.Reader) (*index.Message, error) {
	c, err := content.Read(r, x.options.Text)
	if err != nil {
		return nil, err
	}
	m := index.FromEvent(e)
	m.Header, m.Parts, m.Defects = c.Header, c.Parts, c.Defects
	index.Exclude(m, x.options.Exclude)
	index.Clean(m)
	index.SetTerms(m, c.Text)
	return m, nil
}

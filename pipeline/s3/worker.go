package s3

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"hash/crc32"
	"math/rand/v2"
	"time"

	"github.com/minio/minio-go/v7"

	"sluice/internal/panics"
	"sluice/pipeline"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	// attempts is the number of attempts at one request, including the first.
	attempts = 3
	// backoff is the longest wait before the second attempt. It doubles for each further
	// one. minio-go itself waits up to 200 ms after a response such as 503.
	backoff = 100 * time.Millisecond
)

// worker is the state of one goroutine that handles tasks one after another.
type worker struct {
	*Store
	digest hash.Hash
	pause  func() // called while hashing (pauseEvery); nil for the worker of a lane
}

func newWorker(s *Store) *worker { return &worker{Store: s, digest: sha256.New()} }

// run handles tasks of w.queue and of admitted, until both are closed and empty.
func (w *worker) run(admitted <-chan task) {
	for queue := w.queue; queue != nil || admitted != nil; {
		select {
		case next, open := <-queue:
			if !open {
				queue = nil
				continue
			}
			w.handle(next)
		case next, open := <-admitted:
			if !open {
				admitted = nil
				continue
			}
			w.handleLarge(next)
		}
	}
}

// handleLarge handles a task that has passed the gate.
func (w *worker) handleLarge(t task) {
	defer w.gate.release()
	w.handle(t)
}

func (w *worker) handle(t task) {
	var result stored
	err := panics.Try(panics.Store, func() (err error) {
		result, err = w.perform(t)
		return err
	})
	switch {
	case err != nil:
		w.refuse(t, err)
	case t.part != nil:
		w.uploaded(t.part, nil)
	default:
		w.stored(t.message, result, nil)
	}
}

// perform makes the requests of a task. Only a message has a result.
func (w *worker) perform(t task) (stored, error) {
	ctx, cancel := context.WithDeadline(w.ctx, t.since.Add(w.options.Timeout))
	defer cancel()
	if t.part != nil {
		return stored{}, w.putPart(ctx, t)
	}
	m := t.message
	if u, ok := m.Parts.Upload.(*upload); ok && u.initiated() {
		return w.finish(ctx, m, u)
	}
	return w.put(ctx, m)
}

// expired returns a failure when the deadline of a task has passed before it was begun,
// or the store was closed.
func expired(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	kind := pipeline.KindTimeout
	if errors.Is(ctx.Err(), context.Canceled) { // by Close
		kind = pipeline.KindTemporary
	}
	return &pipeline.Failure{Kind: kind, Op: "s3: queue", Err: errWaited}
}

// put stores a message as an object of its own by one PUT.
func (w *worker) put(ctx context.Context, m *pipeline.Message) (stored, error) {
	if err := expired(ctx); err != nil {
		return stored{}, err
	}
	result := stored{blob: pipeline.Blob{
		Store: storeName, Bucket: w.bucket, Key: m.Key(),
		Length: m.Length(), Added: int64(len(m.Header)),
		CRC32C: crc32.Update(0, castagnoli, m.Header),
	}}
	w.digest.Reset()
	result.blob.CRC32C = w.hash(w.digest, result.blob.CRC32C, &m.Body)
	w.digest.Sum(result.digest[:0])
	o := w.objectOptions(m)
	sum := checksum(result.blob.CRC32C)
	o.UserMetadata[headerChecksum] = sum
	ambiguous, err := w.try(ctx, m.Header, m.Body.Chunks(), func(body *payload) error {
		b := &result.blob
		info, err := w.client.PutObject(ctx, w.bucket, b.Key, body, b.Length, "", "", o)
		return confirmation{info.ETag, info.ChecksumCRC32C}.confirm(sum, err)
	})
	if err != nil {
		if ambiguous {
			w.cleaner.add(leftover{key: result.blob.Key, object: true})
		}
		return stored{}, fail("put", err)
	}
	return result, nil
}

// pauseEvery is the number of bytes that a worker hashes between two pauses.
const pauseEvery = 512 << 10

// hash adds the body b to digest. It returns crc, the CRC32C of what precedes the body,
// extended by b.
func (w *worker) hash(digest hash.Hash, crc uint32, b *pipeline.Body) uint32 {
	n := 0
	for _, chunk := range b.Chunks() {
		crc = crc32.Update(crc, castagnoli, chunk)
		digest.Write(chunk)
		if n += len(chunk); n >= pauseEvery && w.pause != nil {
			n = 0
			w.pause()
		}
	}
	return crc
}

// objectOptions returns the options of a message's object, without its checksum.
func (s *Store) objectOptions(m *pipeline.Message) minio.PutObjectOptions {
	o := s.plainOptions()
	o.UserMetadata, o.ContentType = metadata(m), "message/rfc822"
	return o
}

// try sends a request with the body head and chunks. It retries transient failures until
// ctx ends or attempts are used up. The bytes of the body are no longer read when it
// returns. ambiguous reports that a failed attempt may have taken effect.
func (s *Store) try(
	ctx context.Context, head []byte, chunks [][]byte, send func(*payload) error,
) (ambiguous bool, err error) {
	for attempt := 1; ; attempt++ {
		body, used := newPayload(head, chunks), s.client.keys.get()
		err = panics.Try(panics.Store, func() error { return send(body) })
		if whole := body.Revoke(); err == nil && !whole {
			err = errEarly
		}
		if err == nil {
			return ambiguous, nil
		}
		ambiguous = ambiguous || uncertain(err)
		if s.client.renew(err, used) && attempt < attempts {
			continue
		}
		if attempt == attempts || !transient(err) || !backOff(ctx, backoff<<(attempt-1)) {
			return ambiguous, s.explainTooLarge(err)
		}
	}
}

// backOff sleeps for a random part of max, so that a fleet does not retry in step. It
// reports false when ctx has ended.
func backOff(ctx context.Context, max time.Duration) bool {
	timer := time.NewTimer(rand.N(max))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

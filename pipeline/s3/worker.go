package s3

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"hash/crc32"

	"github.com/minio/minio-go/v7"

	"sluice/internal/panics"
	"sluice/pipeline"
	"sluice/pipeline/pack"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// worker is the state of one goroutine that handles tasks one after another.
type worker struct {
	*Store
	digest hash.Hash
	pause  func() // called while hashing (pauseEvery); nil for the worker of a lane
	lane   bool   // belongs to the batcher
}

func newWorker(s *Store) *worker { return &worker{Store: s, digest: sha256.New()} }

// lanes returns the batcher that the worker belongs to, nil for a worker of the pool.
func (w *worker) lanes() *pack.Batcher {
	if w.lane {
		return w.batcher
	}
	return nil
}

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
	o := w.objectOptions(metadata(m))
	sum := checksum(result.blob.CRC32C)
	o.UserMetadata[headerChecksum] = sum
	key, size := result.blob.Key, result.blob.Length
	_, ambiguous, err := w.try(ctx, exchange{
		bytes: size, head: m.Header, chunks: m.Body.Chunks(), lanes: w.lanes(),
		send: func(ctx context.Context, body *payload) (string, error) {
			info, err := w.client.PutObject(ctx, w.bucket, key, body, size, "", "", o)
			return "", confirmation{info.ETag, info.ChecksumCRC32C}.confirm(sum, err)
		},
	})
	if err != nil {
		if ambiguous {
			w.cleaner.add(leftover{key: result.blob.Key, object: true, late: true})
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

// objectOptions returns the options of a message's object with metadata, without its
// checksum.
func (s *Store) objectOptions(metadata map[string]string) minio.PutObjectOptions {
	o := s.plainOptions()
	o.UserMetadata, o.ContentType = metadata, "message/rfc822"
	return o
}

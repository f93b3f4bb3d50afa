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

	"sluice/pipeline"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	// attempts of one request, the first counted.
	attempts = 3
	// backoff is the longest wait before the second attempt; it doubles. minio-go
	// itself waits up to 200 ms after an answer such as 503.
	backoff = 100 * time.Millisecond
)

// worker carries out tasks one after another: what one goroutine of the pool keeps.
type worker struct {
	*Store
	digest hash.Hash
	rest   func() // called now and then while hashing, nil for a lane
}

func newWorker(s *Store) *worker { return &worker{Store: s, digest: sha256.New()} }

// run handles tasks until both queues are closed and empty.
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
			w.handle(next)
			w.turnstile.leave()
		}
	}
}

func (w *worker) handle(t task) {
	ctx, cancel := context.WithDeadline(w.ctx, t.since.Add(w.options.Timeout))
	defer cancel()
	if t.part != nil {
		err := w.part(ctx, t)
		if err != nil {
			t.upload.fail(err)
		}
		w.uploaded(t.part, err)
		return
	}
	m := t.message
	if u, ok := m.Upload.(*upload); ok && u.begun() {
		result, err := w.finish(ctx, m, u)
		if err != nil {
			w.discard(u)
		}
		w.stored(m, result, err)
		return
	}
	result, err := w.put(ctx, m)
	w.stored(m, result, err)
}

// expired is the failure of a task whose time was over before its turn came.
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

// put stores a message by one request.
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
	doubtful, err := w.try(ctx, m.Header, m.Body.Chunks(), func(body *payload) error {
		info, err := w.client.PutObject(ctx, w.bucket, result.blob.Key, body, result.blob.Length, "", "", o)
		return confirmation{info.ETag, info.ChecksumCRC32C}.confirm(sum, err)
	})
	if err != nil {
		if doubtful {
			w.cleaner.add(leftover{key: result.blob.Key, object: true})
		}
		return stored{}, fail("put", err)
	}
	return result, nil
}

// resting is after how many octets a worker rests from hashing.
const resting = 512 << 10

// hash adds a body to a digest, and to the CRC32C of what stands before it.
func (w *worker) hash(digest hash.Hash, crc uint32, b *pipeline.Body) uint32 {
	octets := 0
	for _, chunk := range b.Chunks() {
		crc = crc32.Update(crc, castagnoli, chunk)
		digest.Write(chunk)
		if octets += len(chunk); octets >= resting && w.rest != nil {
			octets = 0
			w.rest()
		}
	}
	return crc
}

// objectOptions are those of a message's object, without its checksum.
func (s *Store) objectOptions(m *pipeline.Message) minio.PutObjectOptions {
	o := s.plainOptions()
	o.UserMetadata, o.ContentType = metadata(m), "message/rfc822"
	return o
}

// try makes a request with this body, again when it failed by something that
// passes, until ctx ends. The body's octets are free again when it returns.
// doubtful says that a failed attempt may have been carried out all the same.
func (s *Store) try(ctx context.Context, head []byte, chunks [][]byte, send func(*payload) error) (doubtful bool, err error) {
	for attempt := 1; ; attempt++ {
		body, used := newPayload(head, chunks), s.client.secret.get()
		err = send(body)
		if whole := body.Revoke(); err == nil && !whole {
			err = errEarly
		}
		if err == nil {
			return doubtful, nil
		}
		doubtful = doubtful || uncertain(err)
		if s.client.renew(err, used) && attempt < attempts {
			continue
		}
		if attempt == attempts || !passing(err) || !pause(ctx, backoff<<(attempt-1)) {
			return doubtful, s.proxied(err)
		}
	}
}

// pause waits a random part of most, so that a fleet does not come back as one.
func pause(ctx context.Context, most time.Duration) bool {
	timer := time.NewTimer(rand.N(most))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

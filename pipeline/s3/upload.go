package s3

import (
	"cmp"
	"context"
	"crypto/sha256"
	"hash"
	"hash/crc32"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/minio/minio-go/v7"

	"sluice/pipeline"
)

// upload is the multipart upload of a message that is still arriving. S3 accepts parts in
// any order and concurrently; only the digest must see them in the order of the message.
type upload struct {
	key       string
	submitted int // parts put so far; only the event loop of the message uses it
	// initiating is held by the worker that initiates the upload.
	initiating chan struct{}

	mu         sync.Mutex
	changed    sync.Cond    // hashed or broken changed
	hashed     int          // parts that the digest has seen
	broken     error        // a part failed
	digest     hash.Hash    // used only by the worker whose part is next
	first      uint32       // CRC32C of the first part's body
	id         string       // at the store, "" until initiated
	strays     bool         // the store may have uploads of the key whose ids we do not know
	late       bool         // a request that was given up may still take effect
	parts      []uploadPart // that the store has
	completing bool         // completion was tried: the object may exist
	discarded  bool         // passed to the cleaner
}

// uploadPart is a part at the store, or on its way there.
type uploadPart struct {
	number int
	etag   string
	crc    uint32
	size   int64
	head   []byte // the bytes to send: head and chunks, nil once sent
	chunks [][]byte
}

func newUpload(key string) *upload {
	u := &upload{key: key, digest: sha256.New(), initiating: make(chan struct{}, 1)}
	u.changed.L = &u.mu
	return u
}

// fail ends the upload with err. Parts that wait to be hashed fail too.
func (u *upload) fail(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.broken == nil {
		u.broken = err
	}
	u.changed.Broadcast()
}

// initiated reports whether the upload has an id, and so may have parts.
func (u *upload) initiated() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.id != ""
}

// waitHashed waits until the digest has seen all parts before index. That never depends
// on the store: workers take tasks in order, and hash each before they send it.
func (u *upload) waitHashed(index int) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for u.hashed < index && u.broken == nil {
		u.changed.Wait()
	}
	return u.broken
}

// markHashed lets the next part be hashed.
func (u *upload) markHashed() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.hashed++
	u.changed.Broadcast()
}

// sumPart adds a part to the digest of its upload and returns the CRC32C of the part.
// With part 2 it adds part 1 first, which is uploaded last but stands at the beginning.
func (w *worker) sumPart(t task) (uint32, error) {
	u := t.upload
	if err := u.waitHashed(t.index); err != nil {
		return 0, err
	}
	defer u.markHashed()
	if t.index == 0 {
		u.first = w.hash(u.digest, 0, &t.part.Message.Body)
	}
	return w.hash(u.digest, 0, &t.part.Body), nil
}

// putPart uploads a part other than the first.
func (w *worker) putPart(ctx context.Context, t task) error {
	if err := expired(ctx); err != nil {
		return err
	}
	u, p := t.upload, t.part
	crc, err := w.sumPart(t)
	if err != nil || p.Body.Size() == 0 {
		return err // the last part is empty when the text filled the one before
	}
	if err := w.initiate(ctx, u, p.Message); err != nil {
		return err
	}
	return w.sendPart(ctx, u, uploadPart{
		number: p.Number, crc: crc, size: p.Body.Size(), chunks: p.Body.Chunks(),
	})
}

// initiate initiates the upload at the store unless it was initiated before.
func (w *worker) initiate(ctx context.Context, u *upload, m *pipeline.Message) error {
	select {
	case u.initiating <- struct{}{}:
		defer func() { <-u.initiating }()
	case <-ctx.Done():
		return fail("begin", ctx.Err())
	}
	if u.initiated() {
		return nil
	}
	o := w.objectOptions(partMetadata(m))
	o.UserMetadata[headerChecksumAlgorithm] = "CRC32C"
	o.UserMetadata[headerChecksumType] = fullObject
	id, ambiguous, err := w.try(ctx, exchange{send: func(ctx context.Context, _ *payload) (string, error) {
		id, err := w.client.NewMultipartUpload(ctx, w.bucket, u.key, o)
		if err == nil && id == "" {
			err = errNoUpload
		}
		return id, err
	}})
	u.mu.Lock()
	defer u.mu.Unlock()
	u.strays, u.late = u.strays || ambiguous, u.late || ambiguous
	if err != nil {
		return fail("begin", err)
	}
	u.id = id
	return nil
}

// sendPart uploads one part and records it.
func (w *worker) sendPart(ctx context.Context, u *upload, p uploadPart) error {
	sum := checksum(p.crc)
	o := minio.PutObjectPartOptions{
		CustomHeader:         http.Header{http.CanonicalHeaderKey(headerChecksum): {sum}},
		DisableContentSha256: true,
	}
	id, number, size := u.id, p.number, p.size
	etag, ambiguous, err := w.try(ctx, exchange{
		bytes: size, head: p.head, chunks: p.chunks,
		send: func(ctx context.Context, body *payload) (string, error) {
			part, err := w.client.PutObjectPart(ctx, w.bucket, u.key, id, number, body, size, o)
			return part.ETag, confirmation{part.ETag, part.ChecksumCRC32C}.confirm(sum, err)
		},
	})
	u.mu.Lock()
	defer u.mu.Unlock()
	u.late = u.late || ambiguous
	if err != nil {
		return fail("part", err)
	}
	p.etag = etag
	p.head, p.chunks = nil, nil // their owner takes them back with the result
	u.parts = append(u.parts, p)
	return nil
}

// finish uploads the first part, which begins with the trace fields, and completes the
// upload.
func (w *worker) finish(ctx context.Context, m *pipeline.Message, u *upload) (stored, error) {
	if err := expired(ctx); err != nil {
		return stored{}, err
	}
	if err := u.waitHashed(0); err != nil {
		return stored{}, err
	}
	first := uploadPart{
		number: 1,
		crc:    pipeline.CombineCRC32C(crc32.Checksum(m.Header, castagnoli), u.first, m.Body.Size()),
		size:   m.Length(),
		head:   m.Header,
		chunks: m.Body.Chunks(),
	}
	if err := w.sendPart(ctx, u, first); err != nil {
		return stored{}, err
	}
	result := stored{blob: pipeline.Blob{
		Store: storeName, Bucket: w.bucket, Key: u.key, Added: int64(len(m.Header)),
	}}
	slices.SortFunc(u.parts, func(a, b uploadPart) int { return cmp.Compare(a.number, b.number) })
	list := make([]minio.CompletePart, len(u.parts))
	for i, p := range u.parts {
		result.blob.CRC32C = pipeline.CombineCRC32C(result.blob.CRC32C, p.crc, p.size)
		result.blob.Length += p.size
		list[i] = minio.CompletePart{PartNumber: p.number, ETag: p.etag, ChecksumCRC32C: checksum(p.crc)}
	}
	u.digest.Sum(result.digest[:0])
	if err := w.complete(ctx, u, list, result.blob); err != nil {
		return stored{}, err
	}
	return result, nil
}

// complete completes the upload: the store assembles the object and compares the CRC32C
// of the whole with ours.
func (w *worker) complete(
	ctx context.Context, u *upload, list []minio.CompletePart, b pipeline.Blob,
) error {
	sum := checksum(b.CRC32C)
	o := minio.PutObjectOptions{UserMetadata: map[string]string{
		headerChecksum:         sum,
		headerChecksumType:     fullObject,
		"x-amz-mp-object-size": strconv.FormatInt(b.Length, 10),
	}}
	u.mu.Lock()
	u.completing = true
	strays := u.strays
	u.mu.Unlock()
	var begun atomic.Int64
	_, _, err := w.try(ctx, exchange{
		bytes: b.Length, // that the store assembles
		send: func(ctx context.Context, _ *payload) (string, error) {
			first := begun.Add(1) == 1
			info, err := w.client.CompleteMultipartUpload(ctx, w.bucket, u.key, u.id, list, o)
			if !first && isCode(err, codeNoSuchUpload) && w.isStored(ctx, b) {
				return "", nil // another attempt took effect
			}
			return "", confirmation{info.ETag, info.ChecksumCRC32C}.confirm(sum, err)
		},
	})
	if err != nil {
		return fail("complete", err)
	}
	if strays {
		w.cleaner.add(leftover{key: u.key, strays: true, late: true})
	}
	return nil
}

// isStored reports whether the complete object is in the store.
func (w *worker) isStored(ctx context.Context, b pipeline.Blob) bool {
	info, err := w.client.StatObject(ctx, w.bucket, b.Key, minio.StatObjectOptions{Checksum: true})
	return err == nil && info.Size == b.Length &&
		confirmation{info.ETag, info.ChecksumCRC32C}.confirm(checksum(b.CRC32C), nil) == nil
}

// discard passes what the upload left at the store to the cleaner. Only the first call
// has an effect.
func (s *Store) discard(u *upload) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.discarded || u.id == "" && !u.strays {
		return
	}
	u.discarded = true
	s.cleaner.add(leftover{
		key: u.key, upload: u.id, strays: u.strays, object: u.completing, late: u.late || u.completing,
	})
}

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

	"github.com/minio/minio-go/v7"

	"sluice/pipeline"
)

// upload is a message on its way in parts. S3 takes parts in any order and at the
// same time; only the digest must see them as they stand in the message.
type upload struct {
	key   string
	turns int // parts handed over: the message's event loop alone
	// beginning is held by the worker that begins the upload at the store.
	beginning chan struct{}

	mu      sync.Mutex
	turn    sync.Cond // hashed or broken changed
	hashed  int       // parts that the digest has seen
	broken  error     // a part failed
	digest  hash.Hash // in the hands of the worker whose turn it is
	first   uint32    // CRC32C of the first part's body
	id      string    // at the store, "" until it was begun
	strays  bool      // the store may have begun another that we do not know
	parts   []piece   // uploaded, from the second on
	ending  bool      // completing was tried: there may be an object
	handled bool      // given to the cleaner
}

// piece is a part at the store, or on its way there.
type piece struct {
	number int
	etag   string
	crc    uint32
	size   int64
	head   []byte // what is sent, until it was
	chunks [][]byte
}

func newUpload(key string) *upload {
	u := &upload{key: key, digest: sha256.New(), beginning: make(chan struct{}, 1)}
	u.turn.L = &u.mu
	return u
}

// fail breaks the upload: parts that wait for their turn fail too.
func (u *upload) fail(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.broken == nil {
		u.broken = err
	}
	u.turn.Broadcast()
}

// begun says whether parts were uploaded.
func (u *upload) begun() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.id != ""
}

// await waits until the digest has seen all parts before turn. It never waits for
// the store: tasks are taken in order, and each is hashed first.
func (u *upload) await(turn int) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for u.hashed < turn && u.broken == nil {
		u.turn.Wait()
	}
	return u.broken
}

// passTurn lets the next part be hashed.
func (u *upload) passTurn() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.hashed++
	u.turn.Broadcast()
}

// sum adds the part whose turn it is to its upload's digest, before the second also
// the first, and gives its CRC32C.
func (w *worker) sum(t task) (uint32, error) {
	u := t.upload
	if err := u.await(t.turn); err != nil {
		return 0, err
	}
	defer u.passTurn()
	if t.turn == 0 {
		u.first = w.hash(u.digest, 0, &t.part.Message.Body)
	}
	return w.hash(u.digest, 0, &t.part.Body), nil
}

// part uploads a part from the second on.
func (w *worker) part(ctx context.Context, t task) error {
	if err := expired(ctx); err != nil {
		return err
	}
	u, p := t.upload, t.part
	crc, err := w.sum(t)
	if err != nil || p.Body.Size() == 0 { // what ended at a part's end has an empty last one
		return err
	}
	if err := w.begin(ctx, u, p.Message); err != nil {
		return err
	}
	return w.send(ctx, u, piece{number: p.Number, crc: crc, size: p.Body.Size(), chunks: p.Body.Chunks()})
}

// begin begins the upload at the store unless that was done.
func (w *worker) begin(ctx context.Context, u *upload, m *pipeline.Message) error {
	select {
	case u.beginning <- struct{}{}:
		defer func() { <-u.beginning }()
	case <-ctx.Done():
		return fail("begin", ctx.Err())
	}
	if u.begun() {
		return nil
	}
	o := w.objectOptions(m)
	o.UserMetadata[headerChecksumAlgorithm] = "CRC32C"
	o.UserMetadata[headerChecksumType] = fullObject
	var id string
	doubtful, err := w.try(ctx, nil, nil, func(*payload) (err error) {
		id, err = w.client.NewMultipartUpload(ctx, w.bucket, u.key, o)
		if err == nil && id == "" {
			err = errNoUpload
		}
		return err
	})
	u.mu.Lock()
	defer u.mu.Unlock()
	u.strays = u.strays || doubtful
	if err != nil {
		return fail("begin", err)
	}
	u.id = id
	return nil
}

// send uploads one part and notes it.
func (w *worker) send(ctx context.Context, u *upload, p piece) error {
	sum := checksum(p.crc)
	o := minio.PutObjectPartOptions{
		CustomHeader:         http.Header{http.CanonicalHeaderKey(headerChecksum): {sum}},
		DisableContentSha256: true,
	}
	_, err := w.try(ctx, p.head, p.chunks, func(octets *payload) error {
		part, err := w.client.PutObjectPart(ctx, w.bucket, u.key, u.id, p.number, octets, p.size, o)
		p.etag = part.ETag
		return confirmation{part.ETag, part.ChecksumCRC32C}.confirm(sum, err)
	})
	if err != nil {
		return fail("part", err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	p.head, p.chunks = nil, nil // not ours any more after the result
	u.parts = append(u.parts, p)
	return nil
}

// finish uploads the first part, with what Sluice writes on top, and completes.
func (w *worker) finish(ctx context.Context, m *pipeline.Message, u *upload) (stored, error) {
	if err := expired(ctx); err != nil {
		return stored{}, err
	}
	if err := u.await(0); err != nil {
		return stored{}, err
	}
	first := piece{
		number: 1,
		crc:    pipeline.CombineCRC32C(crc32.Checksum(m.Header, castagnoli), u.first, m.Body.Size()),
		size:   m.Length(),
		head:   m.Header,
		chunks: m.Body.Chunks(),
	}
	if err := w.send(ctx, u, first); err != nil {
		return stored{}, err
	}
	result := stored{blob: pipeline.Blob{
		Store: storeName, Bucket: w.bucket, Key: u.key, Added: int64(len(m.Header)),
	}}
	slices.SortFunc(u.parts, func(a, b piece) int { return cmp.Compare(a.number, b.number) })
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

// complete makes an object of the parts. The store compares the CRC32C of the
// whole with ours.
func (w *worker) complete(ctx context.Context, u *upload, list []minio.CompletePart, b pipeline.Blob) error {
	sum := checksum(b.CRC32C)
	o := minio.PutObjectOptions{UserMetadata: map[string]string{
		headerChecksum:         sum,
		headerChecksumType:     fullObject,
		"x-amz-mp-object-size": strconv.FormatInt(b.Length, 10),
	}}
	u.mu.Lock()
	u.ending = true
	strays := u.strays
	u.mu.Unlock()
	doubtful := false
	_, err := w.try(ctx, nil, nil, func(*payload) error {
		info, err := w.client.CompleteMultipartUpload(ctx, w.bucket, u.key, u.id, list, o)
		if doubtful && isCode(err, codeNoSuchUpload) && w.isStored(ctx, b) {
			return nil // the attempt before had done it
		}
		err = confirmation{info.ETag, info.ChecksumCRC32C}.confirm(sum, err)
		doubtful = doubtful || uncertain(err)
		return err
	})
	if err != nil {
		return fail("complete", err)
	}
	if strays {
		w.cleaner.add(leftover{key: u.key, strays: true})
	}
	return nil
}

// isStored says whether the object is there whole.
func (w *worker) isStored(ctx context.Context, b pipeline.Blob) bool {
	info, err := w.client.StatObject(ctx, w.bucket, b.Key, minio.StatObjectOptions{Checksum: true})
	return err == nil && info.Size == b.Length &&
		confirmation{info.ETag, info.ChecksumCRC32C}.confirm(checksum(b.CRC32C), nil) == nil
}

// discard gives what an upload left at the store to the cleaner, once.
func (s *Store) discard(u *upload) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.handled || u.id == "" && !u.strays {
		return
	}
	u.handled = true
	s.cleaner.add(leftover{key: u.key, upload: u.id, strays: u.strays, object: u.ending})
}

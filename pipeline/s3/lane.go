package s3

import (
	"context"
	"time"

	"github.com/minio/minio-go/v7"

	"sluice/pipeline"
	"sluice/pipeline/pack"
)

// lane stores packs: a worker of a pool of its own.
type lane struct{ *worker }

var _ pack.Lane = lane{}

// Alone implements pack.Lane.
func (l lane) Alone(m *pipeline.Message, since time.Time) {
	ctx, cancel := context.WithDeadline(l.ctx, since.Add(l.options.Timeout))
	defer cancel()
	done := l.turnstile.small(1)
	result, err := l.put(ctx, m)
	if err == nil {
		done(result.blob.Length)
	}
	l.stored(m, result, err)
}

// Apart implements pack.Lane: the message waits for a worker like a large one.
func (l lane) Apart(m *pipeline.Message, since time.Time) {
	if err := l.enqueue(task{message: m, since: since}); err != nil {
		l.stored(m, stored{}, err)
	}
}

// Answered implements pack.Lane.
func (l lane) Answered(messages int) { l.puts.Done(messages) }

// Together implements pack.Lane. A pack is split when the store refuses it, as one
// does that is too large for a proxy: a store that is away or busy would have as
// many requests as there are messages instead of one.
func (l lane) Together(p *pack.Pack, since time.Time) (apart bool, err error) {
	ctx, cancel := context.WithDeadline(l.ctx, since.Add(l.options.Timeout))
	defer cancel()
	if err := expired(ctx); err != nil {
		return false, err
	}
	done := l.turnstile.small(p.Len())
	p.Compose(pack.NewID(), pipeline.Blob{Store: storeName, Bucket: l.bucket})
	sum := checksum(p.CRC32C())
	o := l.plainOptions()
	o.ContentType, o.UserMetadata = pack.ContentType, map[string]string{headerChecksum: sum}
	doubtful, err := l.try(ctx, nil, p.Pieces(), func(body *payload) error {
		info, err := l.client.PutObject(ctx, l.bucket, p.Key(), body, p.Size(), "", "", o)
		return confirmation{info.ETag, info.ChecksumCRC32C}.confirm(sum, err)
	})
	if err == nil {
		done(p.Size())
		return false, nil
	}
	if doubtful {
		l.cleaner.add(leftover{key: p.Key(), object: true})
	}
	return ctx.Err() == nil && !passing(err) && !misconfigured(err), fail("put pack", err)
}

// plainOptions are those of every new object.
func (s *Store) plainOptions() minio.PutObjectOptions {
	sse, _ := encryption(s.options.SSE) // checked at Open
	return minio.PutObjectOptions{
		ServerSideEncryption: sse,
		DisableContentSha256: true, // the CRC32C protects it; SHA-256 cost 1.8 ms of CPU each MiB
	}
}

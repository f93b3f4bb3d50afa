package s3

import (
	"context"
	"time"

	"github.com/minio/minio-go/v7"

	"sluice/internal/panics"
	"sluice/pipeline"
	"sluice/pipeline/pack"
)

// packWriter stores packs. Its worker is not one of the pool for large messages.
type packWriter struct{ *worker }

var _ pack.Writer = packWriter{}

// PutOne implements pack.Writer.
func (w packWriter) PutOne(m *pipeline.Message, since time.Time) bool {
	ctx, cancel := context.WithDeadline(w.ctx, since.Add(w.options.Timeout))
	defer cancel()
	var result stored
	err := panics.Try(panics.Store, func() (err error) {
		done := w.gate.observe(1)
		if result, err = w.put(ctx, m); err == nil {
			done(result.blob.Length)
		}
		return err
	})
	w.stored(m, result, err)
	return err == nil
}

// Requeue implements pack.Writer. The message waits for a worker of the pool.
func (w packWriter) Requeue(m *pipeline.Message, since time.Time) {
	if err := w.enqueue(task{message: m, since: since}); err != nil {
		w.stored(m, stored{}, err)
	}
}

// Done implements pack.Writer.
func (w packWriter) Done(messages int) { w.puts.Done(messages) }

// PutPack implements pack.Writer. A pack is split when the store refuses it for what its
// size or content may cause, for example because it is too large for a proxy. Any other
// refusal would meet each message too, by as many requests as there are messages.
func (w packWriter) PutPack(p *pack.Pack, since time.Time) (split bool, err error) {
	ctx, cancel := context.WithDeadline(w.ctx, since.Add(w.options.Timeout))
	defer cancel()
	if err := expired(ctx); err != nil {
		return false, err
	}
	done := w.gate.observe(p.Len())
	p.Compose(pack.NewID(), pipeline.Blob{Store: storeName, Bucket: w.bucket})
	sum := checksum(p.CRC32C())
	o := w.plainOptions()
	o.ContentType, o.UserMetadata = pack.ContentType, map[string]string{headerChecksum: sum}
	key, size := p.Key(), p.Size()
	_, ambiguous, err := w.try(ctx, exchange{
		bytes: size, chunks: p.Pieces(), lanes: w.lanes(),
		send: func(ctx context.Context, body *payload) (string, error) {
			info, err := w.client.PutObject(ctx, w.bucket, key, body, size, "", "", o)
			return "", confirmation{info.ETag, info.ChecksumCRC32C}.confirm(sum, err)
		},
	})
	if err == nil {
		done(p.Size())
		return false, nil
	}
	if ambiguous {
		w.cleaner.add(leftover{key: p.Key(), object: true, late: true})
	}
	return ctx.Err() == nil && blamesBody(err), fail("put pack", err)
}

// plainOptions returns the options that every new object has.
func (s *Store) plainOptions() minio.PutObjectOptions {
	sse, _ := encryption(s.options.SSE) // checked at Open
	return minio.PutObjectOptions{
		ServerSideEncryption: sse,
		// The CRC32C protects the object, at far less CPU time than a signed payload
		// (docs/measurements.md, S3 and Kafka beside the bare clients).
		DisableContentSha256: true,
	}
}

package s3

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/minio/minio-go/v7"
)

// Reader reads a bucket. Others may write it at the same time.
type Reader struct {
	client *client
	bucket string
}

// NewReader returns a Reader of the bucket that o names. It makes no request yet.
func NewReader(o Options) (*Reader, error) {
	o.defaults()
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	c, err := newClient(&o)
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	return &Reader{client: c, bucket: o.Bucket}, nil
}

// Location returns the names of the store and of the bucket in events.
func (r *Reader) Location() (store, bucket string) { return storeName, r.bucket }

// List calls each with the key and the length in bytes of every object, in the order of
// the keys. It stops at the first error and returns it.
func (r *Reader) List(ctx context.Context, each func(key string, length int64) error) error {
	return r.ListBelow(ctx, "", each)
}

// ListBelow is List for the objects in one folder, such as "2026/01/02/15/".
func (r *Reader) ListBelow(
	ctx context.Context, folder string, each func(key string, length int64) error,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the listing after an error of each
	o := minio.ListObjectsOptions{Prefix: folder, Recursive: true}
	for object := range r.client.ListObjectsIter(ctx, r.bucket, o) {
		if object.Err != nil {
			return fmt.Errorf("s3: list %s: %w", r.bucket, object.Err)
		}
		if err := each(object.Key, object.Size); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Open reads length bytes at offset of an object, or fewer when the object ends before.
// It returns fs.ErrNotExist when there is no such object.
func (r *Reader) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if length <= 0 { // an empty range cannot be requested
		_, err := r.client.StatObject(ctx, r.bucket, key, minio.StatObjectOptions{})
		if err != nil {
			return nil, fmt.Errorf("s3: %s: %w", key, notFound(err))
		}
		return io.NopCloser(strings.NewReader("")), nil
	}
	var o minio.GetObjectOptions
	last := offset + min(length, math.MaxInt64-offset) - 1
	if err := o.SetRange(offset, last); err != nil {
		return nil, fmt.Errorf("s3: %s: %w", key, err)
	}
	body, _, _, err := r.client.Core.GetObject(ctx, r.bucket, key, o)
	if isCode(err, "InvalidRange") { // it begins after the end
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return nil, fmt.Errorf("s3: %s: %w", key, notFound(err))
	}
	return body, nil
}

// Uploads calls each with the key and id of every multipart upload that is neither
// completed nor aborted and whose key begins with prefix. It stops at the first error and
// returns it. MinIO supports only "" and a whole key as prefix.
func (r *Reader) Uploads(ctx context.Context, prefix string, each func(key, id string) error) error {
	keyMarker, idMarker := "", ""
	for {
		page, err := r.client.ListMultipartUploads(ctx, r.bucket, prefix, keyMarker, idMarker, "", 1000)
		if err != nil {
			return fmt.Errorf("s3: list uploads: %w", err)
		}
		for _, upload := range page.Uploads {
			if err := each(upload.Key, upload.UploadID); err != nil {
				return err
			}
		}
		if !page.IsTruncated || len(page.Uploads) == 0 {
			return nil
		}
		keyMarker, idMarker = page.NextKeyMarker, page.NextUploadIDMarker
	}
}

package s3

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/minio/minio-go/v7"
)

// Reader reads a bucket, also while others write it.
type Reader struct {
	client *client
	bucket string
}

// NewReader reads the bucket that the options name. Nothing is asked of the store
// yet.
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

// List calls each with every object's key and length in octets, in the keys'
// order, until it returns an error.
func (r *Reader) List(ctx context.Context, each func(key string, length int64) error) error {
	return r.ListBelow(ctx, "", each)
}

// ListBelow lists like List what stands in a folder, as "2026/01/02/15/", alone.
func (r *Reader) ListBelow(ctx context.Context, folder string, each func(key string, length int64) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the listing when each does
	for object := range r.client.ListObjectsIter(ctx, r.bucket, minio.ListObjectsOptions{Prefix: folder, Recursive: true}) {
		if object.Err != nil {
			return fmt.Errorf("s3: list %s: %w", r.bucket, object.Err)
		}
		if err := each(object.Key, object.Size); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Open reads length octets at offset of an object; fewer come when the object
// ends before. The error of an object that is not there is fs.ErrNotExist.
func (r *Reader) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if length <= 0 { // a range of nothing cannot be asked for
		if _, err := r.client.StatObject(ctx, r.bucket, key, minio.StatObjectOptions{}); err != nil {
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
	if isCode(err, "InvalidRange") { // it begins behind the end
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return nil, fmt.Errorf("s3: %s: %w", key, notFound(err))
	}
	return body, nil
}

// Uploads calls each with the key and id of every upload in parts of keys that
// begin with prefix that was neither completed nor aborted, until it returns an
// error. MinIO takes no prefix but "" and a whole key.
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

package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
)

// errRefused marks what will not mend itself: somebody must set something.
var errRefused = errors.New("refused")

const (
	// openTime bounds the first look at the bucket.
	openTime = 10 * time.Second
	// lookAgain is the time between looks until the bucket could be made.
	lookAgain = 2 * time.Second
)

// Probe says whether the store answers and the bucket can be used. It makes the
// bucket when it is not there and the options say so.
func (s *Store) Probe(ctx context.Context) error {
	used := s.client.secret.get()
	err := s.probe(ctx)
	// Some servers hide a bucket from keys that they do not know.
	if errors.Is(err, errRefused) && s.client.secret.replace(used) {
		s.client.credentials.Expire()
		err = s.probe(ctx)
	}
	return err
}

func (s *Store) probe(ctx context.Context) error {
	exists, err := s.client.BucketExists(ctx, s.bucket)
	if err == nil && !exists && s.options.CreateBucket {
		err = s.createBucket(ctx)
	} else if err == nil && !exists {
		return fmt.Errorf("s3: %w: no bucket %q at %s: make it (mc mb <alias>/%s, or aws s3 mb s3://%s) or set create_bucket",
			errRefused, s.bucket, s.options.Endpoint, s.bucket, s.bucket)
	}
	return s.explain(err)
}

// explain says what to mend.
func (s *Store) explain(err error) error {
	if err == nil {
		return nil
	}
	if misconfigured(err) {
		return fmt.Errorf("s3: %w: %s: %w: set secure to what the server speaks, and ca_file to who signed its certificate",
			errRefused, s.options.Endpoint, err)
	}
	r, answered := response(err)
	if !answered || passing(err) {
		return fmt.Errorf("s3: %s: %w", s.options.Endpoint, err)
	}
	if r.StatusCode == http.StatusForbidden {
		return fmt.Errorf("s3: %w: bucket %q at %s: %s (%w): check credentials (%s), the clock, and that they may s3:ListBucket, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListBucketMultipartUploads there",
			errRefused, s.bucket, s.options.Endpoint, r.Code, err, s.options.Credentials)
	}
	return fmt.Errorf("s3: %w: bucket %q at %s: %s (%w): check endpoint, secure, region, bucket and credentials (%s)",
		errRefused, s.bucket, s.options.Endpoint, r.Code, err, s.options.Credentials)
}

func (s *Store) createBucket(ctx context.Context) error {
	err := s.client.MakeBucket(ctx, s.bucket, minio.MakeBucketOptions{Region: s.options.Region})
	if isCode(err, "BucketAlreadyOwnedByYou") || isCode(err, "BucketAlreadyExists") {
		return nil // another of the fleet was quicker
	}
	return err
}

// look is Probe at the start: a store that cannot be reached is no error, because
// it may come later than we.
func (s *Store) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	err := s.Probe(ctx)
	if err != nil && !errors.Is(err, errRefused) {
		if s.options.CreateBucket {
			s.background.Go(s.createLater)
		}
		return nil
	}
	return err
}

// createLater makes the bucket of a store that could not be reached at the start.
func (s *Store) createLater() {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(s.ctx, openTime)
		err := s.Probe(ctx)
		cancel()
		if err == nil {
			return
		}
	}
}

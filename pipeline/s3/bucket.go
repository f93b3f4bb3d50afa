package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/minio/minio-go/v7"

	"sluice/internal/panics"
)

// errRefused marks a failure that persists until the operator changes a setting.
var errRefused = errors.New("refused")

const (
	// openTimeout bounds one probe of the bucket, at Open and after.
	openTimeout = 10 * time.Second
	// reprobeInterval is the time between probes until the bucket is created.
	reprobeInterval = 2 * time.Second
)

// Probe returns an error unless the store answers and the bucket can be used. It creates
// a missing bucket with Options.CreateBucket.
func (s *Store) Probe(ctx context.Context) error {
	used := s.client.keys.get()
	err := s.probe(ctx)
	// Some servers hide a bucket from unknown keys.
	if errors.Is(err, errRefused) && s.client.keys.replace(used) {
		s.client.credentials.Expire()
		err = s.probe(ctx)
	}
	return err
}

func (s *Store) probe(ctx context.Context) error {
	exists, err := s.bucketExists(ctx)
	if err == nil && !exists && s.options.CreateBucket {
		err = s.createBucket(ctx)
	} else if err == nil && !exists {
		return fmt.Errorf("s3: %w: no bucket %q at %s: make it (mc mb <alias>/%s, or aws s3 mb s3://%s) or set create_bucket",
			errRefused, s.bucket, s.options.Endpoint, s.bucket, s.bucket)
	}
	return s.explain(err)
}

// bucketExists asks for the bucket. A connection that is silent must not make the store
// seem away, so it asks by another one as well, in a quarter of the time.
func (s *Store) bucketExists(ctx context.Context) (bool, error) {
	r := exchange{once: true, send: func(ctx context.Context, _ *payload) (string, error) {
		exists, err := s.client.BucketExists(ctx, s.bucket)
		return strconv.FormatBool(exists), err
	}}
	if end, ok := ctx.Deadline(); ok {
		r.patience = time.Until(end) / 4
	}
	answer, _, err := s.try(ctx, r)
	return answer == strconv.FormatBool(true), err
}

// explain adds to the error of a probe what the operator should check.
func (s *Store) explain(err error) error {
	if err == nil {
		return nil
	}
	if misconfigured(err) {
		return fmt.Errorf("s3: %w: %s: %w: set secure to what the server speaks, and ca_file to who signed its certificate",
			errRefused, s.options.Endpoint, err)
	}
	r, answered := response(err)
	if !answered || transient(err) {
		var request *url.Error // names the endpoint twice more
		if errors.As(err, &request) {
			err = request.Err
		}
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
		return nil // another gateway created it first
	}
	return err
}

// firstProbe is Probe for Open. It returns no error when the store cannot be reached: the
// store may start after us.
func (s *Store) firstProbe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	err := s.Probe(ctx)
	if err != nil && !errors.Is(err, errRefused) {
		if s.options.CreateBucket {
			s.background.Go(func() { panics.Keep(panics.Store, s.createLater) })
		}
		return nil
	}
	return err
}

// createLater probes until the bucket exists, for a store that was not reachable at Open.
func (s *Store) createLater() {
	tick := time.NewTicker(reprobeInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(s.ctx, openTimeout)
		err := s.Probe(ctx)
		cancel()
		if err == nil {
			return
		}
	}
}

package adapters

import (
	"context"
	"log/slog"

	"sluice/gateway/config"
	"sluice/pipeline/s3"
)

func openS3(c *config.Config, d Deps) (*Store, error) {
	options := s3Options(c)
	options.LeftBehind, options.Pack = d.MailLog.LeftBehind, packOptions(c, d)
	options.Retried = newRetryLog(d).retried
	options.Reread = rereadKeys(c, d.MailLog.Logger())
	s, err := s3.Open(context.Background(), options)
	if err != nil {
		return nil, err
	}
	opened := &Store{
		Objects: s, Bucket: options.Bucket, Depth: s.Depth, Probe: s.Probe, LeftBehind: s.LeftBehind,
		Batcher: s.Batcher(), close: s.Close,
	}
	if opened.Batcher != nil {
		opened.LargeLimit = s.LargeLimit
	}
	return opened, nil
}

func s3Reader(c *config.Config) (source, error) { return s3.NewReader(s3Options(c)) }

// s3Options returns the options that a store and a reader of the bucket share.
func s3Options(c *config.Config) s3.Options {
	at := &c.Store.S3
	return s3.Options{
		Endpoint:     at.Endpoint,
		Bucket:       at.Bucket,
		Region:       at.Region,
		Secure:       at.Secure,
		CAFile:       at.CAFile,
		Credentials:  at.Credentials,
		AccessKey:    at.AccessKey,
		SecretKey:    at.SecretKey.Reveal(),
		PartSize:     int64(at.PartSize),
		Concurrency:  at.Concurrency,
		CreateBucket: at.CreateBucket,
		SSE:          at.SSE,
		// Each session has one message, or parts of it.
		Queue:   c.Limits.Connections + at.Concurrency,
		Timeout: c.Timeouts.Store,
	}
}

// rereadKeys returns the function with which the store reads its keys again, nil if
// neither the access key nor the secret was read from a file.
func rereadKeys(c *config.Config, logger *slog.Logger) func(refused s3.Keys) (s3.Keys, bool) {
	at := &c.Store.S3
	access := at.RereadAccessKey(logger)
	secret := at.SecretKey.Reread("store.s3.secret_key", logger)
	if access == nil && secret == nil {
		return nil
	}
	return func(refused s3.Keys) (s3.Keys, bool) {
		now := s3.Keys{Access: at.AccessKey, Secret: at.SecretKey.Reveal()}
		if access != nil {
			now.Access, _ = access(refused.Access)
		}
		if secret != nil {
			now.Secret, _ = secret(refused.Secret)
		}
		return now, now != refused
	}
}

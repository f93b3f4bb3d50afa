package main

import (
	"log/slog"
	"sync"
	"time"

	"sluice/pipeline/s3"
)

// rereadEvery bounds how often a secret's file is read: a server that refuses every
// request must not make each of them read it.
const rereadEvery = time.Second

// rereader reads a secret's file again when a server refuses what was in it. Whoever
// changes a secret writes the file and the server in any order: the old one is used
// until it is refused.
type rereader struct {
	key    string // store.s3.secret_key
	file   string
	logger *slog.Logger
	now    func() time.Time

	mu     sync.Mutex
	known  string    // what the file held
	next   time.Time // no look before
	failed bool      // told
}

// newRereader returns the rereader of a key whose value was read from a file, nil for
// one that was not.
func newRereader(key, file, known string, logger *slog.Logger) *rereader {
	if file == "" {
		return nil
	}
	return &rereader{key: key, file: file, logger: logger, now: time.Now, known: known}
}

// reread returns what the event log asks, nil for a secret without a file.
func (s Secret) reread(key string, logger *slog.Logger) func(refused string) (string, bool) {
	if r := newRereader(key, s.file, s.plain, logger); r != nil {
		return r.again
	}
	return nil
}

// rereadKeys returns what the object store asks, nil when neither the key nor its
// secret was read from a file.
func (c *Config) rereadKeys(logger *slog.Logger) func(refused s3.Keys) (s3.Keys, bool) {
	at := &c.Store.S3
	written := s3.Keys{Access: at.AccessKey, Secret: at.SecretKey.plain}
	access := newRereader("store.s3.access_key", at.accessKeyFile, written.Access, logger)
	secret := newRereader("store.s3.secret_key", at.SecretKey.file, written.Secret, logger)
	if access == nil && secret == nil {
		return nil
	}
	return func(refused s3.Keys) (s3.Keys, bool) {
		now := written
		if access != nil {
			now.Access, _ = access.again(refused.Access)
		}
		if secret != nil {
			now.Secret, _ = secret.again(refused.Secret)
		}
		return now, now != refused
	}
}

// again returns the secret as it is now, and whether it is another than the refused one.
func (r *rereader) again(refused string) (plain string, changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now(); !now.Before(r.next) {
		r.next = now.Add(rereadEvery)
		r.read()
	}
	return r.known, r.known != refused
}

func (r *rereader) read() {
	fresh, err := readSecretFile(r.file)
	if err == nil && !isPrintable(fresh.plain) {
		err = errUnprintable
	}
	if err != nil {
		if !r.failed {
			r.logger.Warn("the server refuses us, and the file of a key cannot be read again",
				"key", r.key+fileSuffix, "file", r.file, "err", err)
		}
		r.failed = true
		return
	}
	r.failed = false
	if fresh.plain != r.known {
		r.known = fresh.plain
		r.logger.Info("the server refused us: the file of a key has another, which is used from now on",
			"key", r.key+fileSuffix, "file", r.file)
	}
}

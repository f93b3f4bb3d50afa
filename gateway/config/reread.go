package config

import (
	"log/slog"
	"sync"
	"time"
)

// rereadEvery bounds how often a secret's file is read again, since a server may refuse
// every request.
const rereadEvery = time.Second

// rereader reads a secret's file again when a server refuses the secret. An operator may
// change the secret in the file and on the server in either order, so the old one is used
// until it is refused.
type rereader struct {
	key    string // store.s3.secret_key
	file   string
	logger *slog.Logger
	now    func() time.Time

	mu     sync.Mutex
	known  string    // the secret that the file held
	next   time.Time // the file is not read before
	failed bool      // the failure to read was logged
}

// newRereader returns the rereader of a key whose value was read from a file, nil for a
// key that was not.
func newRereader(key, file, known string, logger *slog.Logger) *rereader {
	if file == "" {
		return nil
	}
	return &rereader{key: key, file: file, logger: logger, now: time.Now, known: known}
}

// Reread returns a function that reads the secret's file again, at most once a second,
// after a server has refused the secret. That function returns the current secret and
// reports whether it differs from the refused one. Reread returns nil for a secret that
// was not read from a file.
func (s Secret) Reread(key string, logger *slog.Logger) func(refused string) (string, bool) {
	if r := newRereader(key, s.file, s.plain, logger); r != nil {
		return r.current
	}
	return nil
}

// RereadAccessKey does for the access key what Secret.Reread does for a secret.
func (s *S3Config) RereadAccessKey(logger *slog.Logger) func(refused string) (string, bool) {
	if r := newRereader("store.s3.access_key", s.accessKeyFile, s.AccessKey, logger); r != nil {
		return r.current
	}
	return nil
}

// current returns the current secret and reports whether it differs from the refused one.
func (r *rereader) current(refused string) (plain string, changed bool) {
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

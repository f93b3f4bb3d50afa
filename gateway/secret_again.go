package main

import (
	"log/slog"
	"sync"
	"time"
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

// reread returns what the adapters ask, nil for a secret without a file. key is the
// secret's.
func (s Secret) reread(key string, logger *slog.Logger) func(refused string) (string, bool) {
	if s.file == "" {
		return nil
	}
	r := &rereader{key: key, file: s.file, logger: logger, now: time.Now, known: s.plain}
	return r.again
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
			r.logger.Warn("the server refuses a secret, and its file cannot be read again",
				"key", r.key+fileSuffix, "file", r.file, "err", err)
		}
		r.failed = true
		return
	}
	r.failed = false
	if fresh.plain != r.known {
		r.known = fresh.plain
		r.logger.Info("the server refused a secret: its file has another, which is used from now on",
			"key", r.key+fileSuffix, "file", r.file)
	}
}

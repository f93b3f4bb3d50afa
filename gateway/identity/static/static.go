// Package static knows the users of a file: their names, and hashes of their passwords.
package static

import (
	"context"
	"sync/atomic"

	"sluice/gateway/identity"
)

// Backend is the identity.Backend of the users in a file.
//
// It makes no copy of a secret. What argon2id and bcrypt make of it within the libraries
// stays in memory until the garbage collector takes it: Go cannot wipe that.
type Backend struct {
	users   atomic.Pointer[Users]
	matches func(*hash, []byte) bool // a test counts
}

// New returns a backend that knows users.
func New(users *Users) *Backend {
	b := &Backend{matches: (*hash).matches}
	b.Use(users)
	return b
}

// Use makes other users the present ones. An attempt has those with which it began.
func (b *Backend) Use(users *Users) { b.users.Store(users) }

// Name implements identity.Backend.
func (b *Backend) Name() string { return "static" }

// Tokens implements identity.Backend.
func (b *Backend) Tokens() bool { return false }

// Authenticate implements identity.Backend. It computes one hash, whether it knows the user
// or not. A hash that has begun is not ended by ctx: it takes a second at most, and its
// memory until then.
func (b *Backend) Authenticate(ctx context.Context, a *identity.Attempt) identity.Answer {
	if err := ctx.Err(); err != nil {
		return identity.Answer{Reason: identity.ReasonTimeout, Err: err}
	}
	users, user := b.users.Load(), identity.Fold(a.User)
	h := users.hashes[user]
	known := h != nil
	if !known {
		h = users.usual
	}
	switch matched := b.matches(h, a.Secret); {
	case !known:
		return identity.Answer{Verdict: identity.Unknown, Reason: identity.ReasonUnknownUser}
	case !matched:
		return identity.Answer{Verdict: identity.Refused, Reason: identity.ReasonWrongPassword}
	}
	return identity.Answer{Verdict: identity.Accepted, Identity: user}
}

// Close implements identity.Backend.
func (b *Backend) Close() error { return nil }

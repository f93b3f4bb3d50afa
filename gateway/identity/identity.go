// Package identity is the port for whoever knows, beside the event loops, whether a client
// is who it says it is.
package identity

import (
	"context"
	"net/netip"
	"time"
)

// MaxUser and MaxSecret are the most bytes of a user's name and of a secret. Longer ones
// are refused before any backend is asked.
const (
	MaxUser   = 255
	MaxSecret = 8 << 10 // tokens of large companies take 4 KiB
)

// Attempt is one attempt of a client to prove who it is. User and Secret are not empty and
// have no NUL; User is valid UTF-8. A backend keeps nothing of an attempt, and nothing of
// its Secret in an error: it is wiped as soon as the attempt has its answer.
type Attempt struct {
	Mechanism string // PLAIN, LOGIN, OAUTHBEARER or XOAUTH2
	User      string // as the client wrote it
	Secret    []byte // a password, or a token
	Token     bool   // Secret is a bearer token (RFC 6750)
	Client    netip.Addr
}

// Verdict is what a backend found.
type Verdict uint8

// Verdicts. The zero value accepts nobody.
const (
	// Unavailable: the backend could not find out. The client is told to come again, and
	// no later backend is asked.
	Unavailable Verdict = iota
	// Unknown: the backend does not know the user, so that the next one is asked. It has
	// done the work that it does for a user that it knows.
	Unknown
	// Refused: the backend knows the user and has not accepted the secret, or may not.
	Refused
	// Accepted: the client is Answer.Identity.
	Accepted
)

// Answer is the answer of a backend to an attempt.
type Answer struct {
	Verdict  Verdict
	Identity string // who the client is, in lower case, when accepted
	Issuer   string // who vouches for that, when it is another than the backend; for events
	Reason   Reason // why it is not accepted
	// RetryAfter is how long a backend that is unavailable asks to be left alone, 0 for no
	// wish.
	RetryAfter time.Duration
	// Err is what lies behind a verdict other than Accepted, for operators. It has nothing
	// of the secret.
	Err error
}

// Backend is the port for whoever knows users. Its methods may be called from any
// goroutine, also at the same time.
type Backend interface {
	// Name returns the name that the configuration has for it.
	Name() string
	// Tokens reports whether it judges tokens; else it judges passwords. It is asked about
	// nothing else.
	Tokens() bool
	// Authenticate judges an attempt. It returns soon after ctx has ended, at the latest,
	// with Unavailable and ReasonTimeout.
	Authenticate(ctx context.Context, a *Attempt) Answer
	// Close closes the backend's connections and files. No Authenticate is called from then on.
	Close() error
}

package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"sluice/gateway/identity"
	"sluice/internal/panics"
)

// refusedUnasked returns why an attempt is refused before any backend is asked, "" for one
// that may be accepted.
func refusedUnasked(a *identity.Attempt, acts string) identity.Reason {
	switch {
	case acts != "" && !strings.EqualFold(acts, a.User):
		return identity.ReasonActs
	case len(a.Secret) == 0:
		return identity.ReasonEmpty
	case len(a.User) > identity.MaxUser, len(a.Secret) > identity.MaxSecret, bytes.IndexByte(a.Secret, 0) >= 0:
		return identity.ReasonMalformed
	}
	return ""
}

// errNobody is the error of a backend that accepts a client and does not say who it is.
var errNobody = errors.New("accepted without an identity")

// careful has a backend judge an attempt. A panic of the backend is an answer, and neither
// its reason nor an error may tell the secret.
func careful(ctx context.Context, b identity.Backend, a *identity.Attempt) (found identity.Answer) {
	err := panics.Try(panics.Identity, func() error {
		defer func() {
			if reason := recover(); reason != nil {
				panic(string(without(a.Secret, fmt.Sprint(reason))))
			}
		}()
		found = b.Authenticate(ctx, a)
		return nil
	})
	if err != nil {
		return identity.Answer{Reason: identity.ReasonInternal, Err: err}
	}
	if found.Verdict == identity.Accepted && found.Identity == "" {
		return identity.Answer{Reason: identity.ReasonInternal, Err: errNobody}
	}
	if found.Err != nil {
		if text := found.Err.Error(); bytes.Contains([]byte(text), a.Secret) {
			found.Err = errors.New(string(without(a.Secret, text)))
		}
	}
	return found
}

// without returns a text without a secret.
func without(secret []byte, text string) []byte {
	return bytes.ReplaceAll([]byte(text), secret, []byte("[redacted]"))
}

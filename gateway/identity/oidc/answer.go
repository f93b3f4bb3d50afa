package oidc

import (
	"context"
	"errors"
	"fmt"
	"net"

	"sluice/gateway/identity"
)

// refuse returns the answer that refuses an attempt.
func refuse(reason identity.Reason, format string, args ...any) *identity.Answer {
	return &identity.Answer{Verdict: identity.Refused, Reason: reason, Err: fmt.Errorf(format, args...)}
}

// unavailable returns the answer that could not be found out.
func unavailable(reason identity.Reason, format string, args ...any) *identity.Answer {
	return &identity.Answer{Verdict: identity.Unavailable, Reason: reason, Err: fmt.Errorf(format, args...)}
}

// broken returns the answer after a request that failed.
func broken(err error) *identity.Answer {
	var net net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.As(err, &net) && net.Timeout() {
		return unavailable(identity.ReasonTimeout, "%w", err)
	}
	return unavailable(identity.ReasonUnreachable, "%w", err)
}

// accepted returns the answer for the user of an attempt.
func accepted(name, issuer string) identity.Answer {
	return identity.Answer{Verdict: identity.Accepted, Identity: identity.Fold(name), Issuer: issuer}
}

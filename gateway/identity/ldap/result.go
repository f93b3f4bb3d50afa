package ldap

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode"

	goldap "github.com/go-ldap/ldap/v3"

	"sluice/gateway/identity"
)

const (
	codeSuccess           = goldap.LDAPResultSuccess
	codeSizeLimitExceeded = goldap.LDAPResultSizeLimitExceeded
	codeInvalidDNSyntax   = goldap.LDAPResultInvalidDNSyntax
)

// verdict is what a result means.
type verdict struct {
	verdict identity.Verdict
	reason  identity.Reason
}

func refused(reason identity.Reason) verdict     { return verdict{identity.Refused, reason} }
func unavailable(reason identity.Reason) verdict { return verdict{identity.Unavailable, reason} }

// ofUser has what the codes of a user's bind mean. Any other code is an error of the
// server, and nothing that the user could mend by another password.
var ofUser = map[int]verdict{
	goldap.LDAPResultSuccess:            {identity.Accepted, ""},
	goldap.LDAPResultInvalidCredentials: refused(identity.ReasonWrongPassword),
	goldap.LDAPResultNoSuchObject:       {identity.Unknown, identity.ReasonUnknownUser},
	// 389 Directory Server says so of an account after too many failures.
	goldap.LDAPResultConstraintViolation:          refused(identity.ReasonLocked),
	goldap.LDAPResultInappropriateAuthentication:  refused(identity.ReasonNotPermitted),
	goldap.LDAPResultInsufficientAccessRights:     refused(identity.ReasonNotPermitted),
	goldap.LDAPResultUnwillingToPerform:           refused(identity.ReasonNotPermitted),
	goldap.LDAPResultAuthMethodNotSupported:       unavailable(identity.ReasonMisconfigured),
	goldap.LDAPResultStrongAuthRequired:           unavailable(identity.ReasonMisconfigured),
	goldap.LDAPResultConfidentialityRequired:      unavailable(identity.ReasonMisconfigured),
	goldap.LDAPResultReferral:                     unavailable(identity.ReasonMisconfigured),
	goldap.LDAPResultInvalidDNSyntax:              unavailable(identity.ReasonMisconfigured),
	goldap.LDAPResultUnavailableCriticalExtension: unavailable(identity.ReasonMisconfigured),
	goldap.LDAPResultBusy:                         unavailable(identity.ReasonThrottled),
	goldap.LDAPResultAdminLimitExceeded:           unavailable(identity.ReasonThrottled),
	goldap.LDAPResultTimeLimitExceeded:            unavailable(identity.ReasonThrottled),
}

// ofActiveDirectory has what the codes of Windows mean that stand in the diagnostic message
// of a user's bind which failed with invalidCredentials.
var ofActiveDirectory = map[string]verdict{
	"525": {identity.Unknown, identity.ReasonUnknownUser},
	"52e": refused(identity.ReasonWrongPassword),
	"530": refused(identity.ReasonNotPermitted), // not at this time
	"531": refused(identity.ReasonNotPermitted), // not from here
	"532": refused(identity.ReasonExpired),      // the password
	"533": refused(identity.ReasonDisabled),
	"701": refused(identity.ReasonExpired), // the account
	"773": refused(identity.ReasonChangePassword),
	"775": refused(identity.ReasonLocked),
	"52f": refused(identity.ReasonNotPermitted), // a restriction of the account
	"569": refused(identity.ReasonNotPermitted), // this kind of logon is not granted
	// A controller that cannot find out: no other one to ask, an error of its own.
	"51f": unavailable(identity.ReasonFailing),
	"54f": unavailable(identity.ReasonFailing),
	"6ba": unavailable(identity.ReasonFailing),
}

// ofPolicy has what the errors of a password policy mean. Others concern changes.
var ofPolicy = map[int]verdict{
	0: refused(identity.ReasonExpired),
	1: refused(identity.ReasonLocked),
	2: refused(identity.ReasonChangePassword), // also in a bind that succeeds
}

// judgeUser returns what the result of a user's bind means.
func judgeUser(got result) verdict {
	v, ok := ofUser[got.code]
	if !ok {
		return unavailable(identity.ReasonFailing)
	}
	policy, restricted := ofPolicy[got.policy]
	switch {
	case restricted && (v.verdict == identity.Accepted || got.code == goldap.LDAPResultInvalidCredentials):
		return policy
	case got.code != goldap.LDAPResultInvalidCredentials:
		return v
	}
	windows, ok := windowsCode(got.diagnostic)
	if !ok {
		return v
	}
	if v, ok = ofActiveDirectory[windows]; !ok {
		return refused(identity.ReasonRefused)
	}
	return v
}

// windowsCode returns the code in a diagnostic message of Active Directory, such as
// "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data 52e, v3839".
func windowsCode(diagnostic string) (code string, ok bool) {
	if !strings.Contains(diagnostic, "LdapErr:") {
		return "", false
	}
	_, after, ok := strings.Cut(diagnostic, ", data ")
	code, _, _ = strings.Cut(after, ",")
	return strings.ToLower(strings.TrimSpace(code)), ok
}

// judgeService returns what the result of our own bind or search means, which has not
// succeeded: what is not an error of the server is one of the configuration.
func judgeService(got result) identity.Reason {
	switch got.code {
	case goldap.LDAPResultBusy, goldap.LDAPResultAdminLimitExceeded, goldap.LDAPResultTimeLimitExceeded:
		return identity.ReasonThrottled
	case goldap.LDAPResultOperationsError:
		// Active Directory: a successful bind must be completed.
		if strings.Contains(strings.ToUpper(got.diagnostic), "000004DC") {
			return identity.ReasonMisconfigured
		}
		return identity.ReasonFailing
	case goldap.LDAPResultUnavailable, goldap.LDAPResultOther, goldap.LDAPResultLoopDetect:
		return identity.ReasonFailing
	}
	return identity.ReasonMisconfigured
}

// fault is the error of a request that the server has answered: our configuration or the
// server is at fault.
type fault struct {
	reason     identity.Reason
	retryAfter time.Duration
	result     result
}

// Error returns the code, its name, and the server's words.
func (f *fault) Error() string { return f.result.String() }

func (r result) String() string {
	name := goldap.LDAPResultCodeMap[uint16(r.code)]
	if r.code > int(goldap.LDAPResultAuthorizationDenied) || name == "" {
		name = "unknown code"
	}
	text := fmt.Sprintf("%s (%d)", name, r.code)
	if r.diagnostic != "" {
		text += ": " + r.diagnostic
	}
	return text
}

// withoutSecret returns the result with a diagnostic message that is fit for a log: of
// bounded length, in printable characters, and none at all if the server repeats the secret.
func (r result) withoutSecret(secret []byte) result {
	const most = 200
	if len(secret) > 0 && bytes.Contains([]byte(r.diagnostic), secret) {
		r.diagnostic = "(the server's message has the password)"
		return r
	}
	if len(r.diagnostic) > most {
		r.diagnostic = r.diagnostic[:most]
	}
	r.diagnostic = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(r.diagnostic, "?"))
	r.diagnostic = strings.TrimSpace(r.diagnostic)
	return r
}

// ofError returns the answer for an attempt that an error has ended.
func ofError(err error) identity.Answer {
	answer := identity.Answer{Verdict: identity.Unavailable, Reason: identity.ReasonUnreachable, Err: err}
	var served *fault
	var certificate *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &served):
		answer.Reason, answer.RetryAfter = served.reason, served.retryAfter
	case errors.As(err, &certificate), errors.As(err, &plain), errors.Is(err, ErrBindPasswordFile):
		answer.Reason = identity.ReasonMisconfigured
	case isTimeout(err):
		answer.Reason = identity.ReasonTimeout
	case errors.Is(err, errMalformed):
		answer.Reason = identity.ReasonFailing
	}
	return answer
}

// isTimeout reports whether time has ended a request, or who asked for it.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

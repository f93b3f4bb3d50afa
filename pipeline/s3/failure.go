package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"sluice/pipeline"
)

// S3 error codes with a meaning of their own here.
const (
	codeNoSuchUpload = "NoSuchUpload"
	codeNoSuchKey    = "NoSuchKey"
	codeNoSuchBucket = "NoSuchBucket"
)

// codes maps S3 error codes to failure kinds, and to words for the log. A failure that an
// operator can fix is temporary: the sender keeps the message until then.
var codes = map[string]struct {
	kind pipeline.Kind
	op   string
}{
	codeNoSuchBucket:                 {pipeline.KindTemporary, "no such bucket"},
	"AccessDenied":                   {pipeline.KindTemporary, "access denied"},
	"AllAccessDisabled":              {pipeline.KindTemporary, "access denied"},
	"InvalidAccessKeyId":             {pipeline.KindTemporary, "credentials refused"},
	"SignatureDoesNotMatch":          {pipeline.KindTemporary, "credentials refused"},
	"XAdminUserNotFound":             {pipeline.KindTemporary, "credentials refused"}, // versitygw, by 404
	"ExpiredToken":                   {pipeline.KindTemporary, "credentials expired"},
	"InvalidToken":                   {pipeline.KindTemporary, "credentials refused"},
	"InvalidTokenId":                 {pipeline.KindTemporary, "credentials refused"},
	"RequestTimeTooSkewed":           {pipeline.KindTemporary, "clocks differ"},
	"SlowDown":                       {pipeline.KindTemporary, "slow down"},
	"SlowDownWrite":                  {pipeline.KindTemporary, "slow down"},
	"BadDigest":                      {pipeline.KindTemporary, "checksum refused"},
	"XAmzContentChecksumMismatch":    {pipeline.KindTemporary, "checksum refused"},
	"XMinioStorageFull":              {pipeline.KindFull, "store full"},
	"XMinioAdminBucketQuotaExceeded": {pipeline.KindFull, "quota exceeded"},
	"QuotaExceeded":                  {pipeline.KindFull, "quota exceeded"},
	"InsufficientCapacity":           {pipeline.KindFull, "store full"},
	// The size was offered to the sender, so the store is misconfigured.
	"EntityTooLarge": {pipeline.KindTemporary, "too large for the store"},
}

// response returns the response of the store in err. ok is false when there was none.
func response(err error) (minio.ErrorResponse, bool) {
	var r minio.ErrorResponse
	if !errors.As(err, &r) || r.StatusCode == 0 {
		return minio.ErrorResponse{}, false
	}
	return r, true
}

func isCode(err error, code string) bool {
	r, ok := response(err)
	return ok && r.Code == code
}

// fail returns err as a pipeline.Failure with a kind. It returns a Failure as it is.
func fail(op string, err error) error {
	var known *pipeline.Failure
	if errors.As(err, &known) {
		return err
	}
	f := &pipeline.Failure{Kind: pipeline.KindTemporary, Op: "s3: " + op, Err: err}
	if r, ok := response(err); ok {
		if m, ok := codes[r.Code]; ok {
			f.Kind, f.Op = m.kind, f.Op+": "+m.op
		} else if r.StatusCode == http.StatusInsufficientStorage {
			f.Kind, f.Op = pipeline.KindFull, f.Op+": store full"
		} else if r.StatusCode == http.StatusRequestEntityTooLarge {
			f.Op += ": too large for what answers"
		} else if r.Code != "" {
			f.Op += ": " + r.Code
		}
		return f
	}
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		f.Kind = pipeline.KindTimeout
	}
	return f
}

// transient reports whether the same request may succeed a moment later, because the
// connection broke or the store is busy. Refusals and our own deadlines are not
// transient.
func transient(err error) bool {
	if r, ok := response(err); ok {
		switch r.StatusCode {
		case http.StatusOK: // CompleteMultipartUpload may send an error after its status
			return r.Code == "InternalError" || r.Code == "SlowDown" || r.Code == "ServiceUnavailable"
		case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	ended := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	return !ended && !misconfigured(err)
}

// blamesBody reports whether the size or the content of a request's body may be why the
// store refused it.
func blamesBody(err error) bool {
	r, ok := response(err)
	if !ok {
		return false
	}
	switch r.Code {
	case "BadDigest", "XAmzContentChecksumMismatch", "EntityTooLarge":
		return true
	}
	if _, known := codes[r.Code]; known { // credentials, clocks, quotas
		return false
	}
	switch r.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// uncertain reports whether a failed request may have taken effect.
func uncertain(err error) bool {
	if err == nil {
		return false
	}
	if r, ok := response(err); ok {
		switch r.StatusCode {
		case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
			return true
		case http.StatusServiceUnavailable:
			// Envoy says so as well when it has lost the store's answer. It knows no S3 codes,
			// and then the code is the whole status.
			return strings.Contains(r.Code, " ")
		}
		return r.StatusCode/100 == 2
	}
	var op *net.OpError
	return !(errors.As(err, &op) && op.Op == "dial") && !misconfigured(err)
}

// misconfigured reports whether an error without a response persists until a setting is
// changed.
func misconfigured(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate) || errors.Is(err, http.ErrSchemeMismatch)
}

// notFound adds fs.ErrNotExist to the store's "no such key".
func notFound(err error) error {
	if isCode(err, codeNoSuchKey) {
		return errors.Join(fs.ErrNotExist, err)
	}
	return err
}

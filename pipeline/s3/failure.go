package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"net/http"

	"github.com/minio/minio-go/v7"

	"sluice/pipeline"
)

// Codes of S3 that mean something special to us.
const (
	codeNoSuchUpload = "NoSuchUpload"
	codeNoSuchKey    = "NoSuchKey"
	codeNoSuchBucket = "NoSuchBucket"
)

// meanings give codes of S3 a kind and name the step for the log. What an operator
// can mend is temporary: the sender keeps the message until then.
var meanings = map[string]struct {
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
	// The size was offered to the sender: a store that takes less is not set right.
	"EntityTooLarge": {pipeline.KindTemporary, "too large for the store"},
}

// response gives the answer of the store that an error is, if it is one.
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

// fail gives a failed step its kind. An error that has one already keeps it.
func fail(op string, err error) error {
	var known *pipeline.Failure
	if errors.As(err, &known) {
		return err
	}
	f := &pipeline.Failure{Kind: pipeline.KindTemporary, Op: "s3: " + op, Err: err}
	if r, ok := response(err); ok {
		if m, ok := meanings[r.Code]; ok {
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

// passing says whether the same request may succeed a moment later: the connection
// broke, or the store is busy. Refusals and deadlines of ours are not.
func passing(err error) bool {
	if r, ok := response(err); ok {
		switch r.StatusCode {
		case http.StatusOK: // completing answers so at once, and then says how it went
			return r.Code == "InternalError" || r.Code == "SlowDown" || r.Code == "ServiceUnavailable"
		case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	return !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) && !misconfigured(err)
}

// uncertain says whether a failed request may have been carried out all the same.
func uncertain(err error) bool {
	if err == nil {
		return false
	}
	if r, ok := response(err); ok {
		switch r.StatusCode {
		case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
			return true
		}
		return r.StatusCode/100 == 2
	}
	var op *net.OpError
	return !(errors.As(err, &op) && op.Op == "dial") && !misconfigured(err)
}

// misconfigured says whether an error without an answer will not pass by itself.
func misconfigured(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate) || errors.Is(err, http.ErrSchemeMismatch)
}

// notFound makes the store's "no such key" the file system's.
func notFound(err error) error {
	if isCode(err, codeNoSuchKey) {
		return errors.Join(fs.ErrNotExist, err)
	}
	return err
}

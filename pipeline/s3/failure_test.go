package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/minio/minio-go/v7"

	"sluice/pipeline"
)

func TestFailures(t *testing.T) {
	answer := func(status int, code string) error { return minio.ErrorResponse{StatusCode: status, Code: code} }
	network := func(err error) error { return &url.Error{Op: "Put", URL: "http://store", Err: err} }
	for _, test := range []struct {
		err                error
		kind               pipeline.Kind
		op                 string
		passing, uncertain bool
		body               bool // blames the body
	}{
		{answer(503, "SlowDown"), pipeline.KindTemporary, "s3: put: slow down", true, false, false},
		{answer(503, "503 Service Unavailable"), pipeline.KindTemporary, "s3: put: 503 Service Unavailable", true, true, false},
		{answer(429, "TooManyRequests"), pipeline.KindTemporary, "s3: put: TooManyRequests", true, false, false},
		{answer(500, "InternalError"), pipeline.KindTemporary, "s3: put: InternalError", true, true, false},
		{answer(502, "502 Bad Gateway"), pipeline.KindTemporary, "s3: put: 502 Bad Gateway", true, true, false},
		{answer(200, "InternalError"), pipeline.KindTemporary, "s3: put: InternalError", true, true, false},
		{answer(404, "NoSuchBucket"), pipeline.KindTemporary, "s3: put: no such bucket", false, false, false},
		{answer(403, "AccessDenied"), pipeline.KindTemporary, "s3: put: access denied", false, false, false},
		{answer(403, "SignatureDoesNotMatch"), pipeline.KindTemporary, "s3: put: credentials refused", false, false, false},
		{answer(400, "ExpiredToken"), pipeline.KindTemporary, "s3: put: credentials expired", false, false, false},
		{answer(400, "BadDigest"), pipeline.KindTemporary, "s3: put: checksum refused", false, false, true},
		{answer(507, "XMinioStorageFull"), pipeline.KindFull, "s3: put: store full", false, false, false},
		{answer(507, "507 Insufficient Storage"), pipeline.KindFull, "s3: put: store full", false, false, false},
		{answer(400, "EntityTooLarge"), pipeline.KindTemporary, "s3: put: too large for the store", false, false, true},
		{answer(413, "413 Request Entity Too Large"), pipeline.KindTemporary, "s3: put: too large for what answers", false, false, true},
		{answer(204, "204 No Content"), pipeline.KindTemporary, "s3: put: 204 No Content", false, true, false},
		{answer(400, "InvalidRequest"), pipeline.KindTemporary, "s3: put: InvalidRequest", false, false, true},
		{answer(400, "QuotaExceeded"), pipeline.KindFull, "s3: put: quota exceeded", false, false, false},
		{errNoETag, pipeline.KindTemporary, "s3: put", true, true, false},
		{network(context.DeadlineExceeded), pipeline.KindTimeout, "s3: put", false, true, false},
		{network(context.Canceled), pipeline.KindTemporary, "s3: put", false, true, false},
		{network(errors.New("connection reset")), pipeline.KindTemporary, "s3: put", true, true, false},
		{network(&net.OpError{Op: "dial", Err: errors.New("refused")}), pipeline.KindTemporary, "s3: put", true, false, false},
		{network(http.ErrSchemeMismatch), pipeline.KindTemporary, "s3: put", false, false, false},
		{errEarly, pipeline.KindTemporary, "s3: put", true, true, false},
	} {
		t.Run(fmt.Sprint(test.err), func(t *testing.T) {
			var f *pipeline.Failure
			if err := fail("put", test.err); !errors.As(err, &f) || f.Kind != test.kind || f.Op != test.op || !errors.Is(err, test.err) {
				t.Errorf("%+v, want %s of kind %s", f, test.op, test.kind)
			}
			if again := fail("again", f); again.Error() != f.Error() {
				t.Errorf("a failure was wrapped twice: %v", again)
			}
			if transient(test.err) != test.passing || uncertain(test.err) != test.uncertain {
				t.Errorf("passing %v, uncertain %v", transient(test.err), uncertain(test.err))
			}
			if blamesBody(test.err) != test.body {
				t.Errorf("blames the body: %v", blamesBody(test.err))
			}
		})
	}
}

package s3

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/pipeline"
	"sluice/pipeline/porttest"
)

func crcHeader(s string) string { return checksum(crc32.Checksum([]byte(s), castagnoli)) }

// checkPlain checks that a body was sent as it is, with a length and our checksum. It
// must have no chunks, frames or signature of its own.
func checkPlain(t *testing.T, r request, body string) {
	t.Helper()
	if r.body != body {
		t.Errorf("%s: body of %d bytes differs from the %d sent", r.what, len(r.body), len(body))
	}
	if r.length != int64(len(body)) || r.chunked {
		t.Errorf("%s: Content-Length %d, chunked %v", r.what, r.length, r.chunked)
	}
	for name, want := range map[string]string{
		"X-Amz-Content-Sha256":         "UNSIGNED-PAYLOAD",
		"X-Amz-Checksum-Crc32c":        crcHeader(body),
		"Content-Encoding":             "",
		"X-Amz-Trailer":                "",
		"X-Amz-Decoded-Content-Length": "",
		"Content-Md5":                  "",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %s is %q, want %q", r.what, name, got, want)
		}
	}
	if a := r.header.Get("Authorization"); !strings.HasPrefix(a, "AWS4-HMAC-SHA256 ") || !strings.Contains(a, "x-amz-checksum-crc32c") {
		t.Errorf("%s: the checksum is not signed: %s", r.what, a)
	}
}

func TestPutRequest(t *testing.T) {
	for _, sse := range []struct{ option, header, key string }{
		{"", "", ""}, {"AES256", "AES256", ""}, {"aws:kms", "aws:kms", ""}, {"aws:kms:mail-key", "aws:kms", "mail-key"},
	} {
		f := newFake(t)
		o := f.options()
		o.SSE = sse.option
		sent := mustStore(t, mustOpen(t, o), "Subject: x\r\n\r\nbody\r\n")
		puts := f.requests("put")
		if len(puts) != 1 {
			t.Fatalf("%d requests", len(puts))
		}
		checkPlain(t, puts[0], string(sent.Header)+string(sent.Body))
		for name, want := range map[string]string{
			"Content-Type":                                "message/rfc822",
			"X-Amz-Server-Side-Encryption":                sse.header,
			"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": sse.key,
		} {
			if got := puts[0].header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
}

func TestUploadRequests(t *testing.T) {
	f := newFake(t)
	o := f.options()
	o.SSE = "AES256"
	s := mustOpen(t, o)
	first, second, last := bytes.Repeat([]byte("1"), MinPartSize), bytes.Repeat([]byte("2"), MinPartSize+16), []byte("3")
	l := porttest.NewLarge(s, first)
	l.PutPart(second)
	l.PutPart(last)
	if failure, err := l.Wait(); failure != nil || err != nil {
		t.Fatalf("%v %v", failure, err)
	}
	if got := len(f.requests("part 1")); got != 0 {
		t.Error("the first part did not wait")
	}
	if err := l.Put(); err != nil || l.Err != nil {
		t.Fatalf("%v %v", err, l.Err)
	}
	begin, complete := f.requests("begin"), f.requests("complete")
	if len(begin) != 1 || len(complete) != 1 {
		t.Fatalf("begun %d times, completed %d times", len(begin), len(complete))
	}
	for name, want := range map[string]string{
		"Content-Type":                 "message/rfc822",
		"X-Amz-Checksum-Algorithm":     "CRC32C",
		"X-Amz-Checksum-Type":          "FULL_OBJECT",
		"X-Amz-Server-Side-Encryption": "AES256",
	} {
		if got := begin[0].header.Get(name); got != want {
			t.Errorf("begin: %s is %q, want %q", name, got, want)
		}
	}
	bodies := []string{string(l.Header) + string(first), string(second), string(last)}
	want := "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
	for i, body := range bodies {
		parts := f.requests(fmt.Sprint("part ", i+1))
		if len(parts) != 1 {
			t.Fatalf("part %d: %d requests", i+1, len(parts))
		}
		checkPlain(t, parts[0], body)
		want += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>etag-%d</ETag><ChecksumCRC32C>%s</ChecksumCRC32C></Part>",
			i+1, i+1, crcHeader(body))
	}
	if got := complete[0].body; got != want+"</CompleteMultipartUpload>" {
		t.Errorf("complete\n%s, want\n%s", got, want)
	}
	if got := complete[0].header.Get("X-Amz-Checksum-Crc32c"); got != crcHeader(strings.Join(bodies, "")) {
		t.Errorf("complete: checksum of the whole %q", got)
	}
}

// TestRetry answers 503 first. The second attempt must have the same bytes and checksum.
func TestRetry(t *testing.T) {
	for _, kind := range []string{"put", "begin", "part 1", "part 2", "complete"} {
		t.Run(kind, func(t *testing.T) {
			f := newFake(t)
			var failed atomic.Bool
			f.answer = func(w http.ResponseWriter, r request) bool {
				if r.what != kind || failed.Swap(true) {
					return false
				}
				refuse(w, http.StatusServiceUnavailable, "SlowDown")
				return true
			}
			s := mustOpen(t, f.options())
			if kind == "put" {
				mustStore(t, s, strings.Repeat("body\r\n", 100_000))
			} else {
				l := porttest.NewLarge(s, make([]byte, MinPartSize))
				l.PutPart([]byte("last"))
				if failure, err := l.Wait(); failure != nil || err != nil {
					t.Fatalf("%v %v", failure, err)
				}
				if err := l.Put(); err != nil || l.Err != nil {
					t.Fatalf("%v %v", err, l.Err)
				}
			}
			tries := f.requests(kind)
			if len(tries) != 2 || tries[0].body != tries[1].body ||
				tries[0].header.Get("X-Amz-Checksum-Crc32c") != tries[1].header.Get("X-Amz-Checksum-Crc32c") {
				t.Errorf("%d attempts, or not the same", len(tries))
			}
			if kind == "put" {
				checkPlain(t, tries[1], tries[1].body)
			}
		})
	}
}

// TestBusyForever checks that a request is tried again until its deadline, ever less
// often.
func TestBusyForever(t *testing.T) {
	f := newFake(t)
	f.answer = func(w http.ResponseWriter, r request) bool {
		if r.what == "put" {
			refuse(w, http.StatusServiceUnavailable, "SlowDown")
		}
		return r.what == "put"
	}
	o := f.options()
	o.Timeout, o.failures = faultTimeout, 0
	sent, err := porttest.Store(mustOpen(t, o), porttest.NewMessage([]byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	if pipeline.KindOf(sent.Err) != pipeline.KindTemporary || !strings.HasPrefix(sent.Err.Error(), "s3: put: slow down: ") {
		t.Errorf("failure %v", sent.Err)
	}
	if n := len(f.requests("put")); n < 3 || n > 12 {
		t.Errorf("%d attempts in %v", n, o.Timeout)
	}
}

// TestOtherChecksum checks that a response with another checksum is a failure.
func TestOtherChecksum(t *testing.T) {
	f := newFake(t)
	f.answer = func(w http.ResponseWriter, r request) bool {
		w.Header().Set("X-Amz-Checksum-Crc32c", "AAAAAA==")
		return false
	}
	sent, err := porttest.Store(mustOpen(t, f.options()), porttest.NewMessage([]byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	if sent.Err == nil {
		t.Error("stored under another checksum")
	}
}

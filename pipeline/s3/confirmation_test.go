package s3

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/pack"
	"sluice/pipeline/porttest"
)

const errorPage = "<!DOCTYPE html><html><head><title>Sorry</title></head><body>down for maintenance</body></html>"

// page answers 200 with a page, as a front end does that is not a store.
func page(w http.ResponseWriter, etag string) {
	w.Header().Set("Content-Type", "text/html")
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	_, _ = io.WriteString(w, errorPage)
}

// TestAnswered200WithoutStoring checks that nothing counts as durable that the store did
// not confirm, whatever the status. What may have been stored is removed.
func TestAnswered200WithoutStoring(t *testing.T) {
	empty := func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) }
	html := func(w http.ResponseWriter) { page(w, "") }
	file := func(w http.ResponseWriter) { page(w, `"5e8f-2a"`) } // a static file's own ETag
	other := func(w http.ResponseWriter) {
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("X-Amz-Checksum-Crc32c", "AAAAAA==")
	}
	text := func(s string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { _, _ = io.WriteString(w, s) }
	}
	for _, test := range []struct {
		what, name string
		answer     func(http.ResponseWriter)
	}{
		{"put", "empty", empty}, {"put", "page", html}, {"put", "page with an ETag", file}, {"put", "other checksum", other},
		{"put", "204", func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }},
		{"pack", "empty", empty}, {"pack", "page", html}, {"pack", "page with an ETag", file}, {"pack", "other checksum", other},
		{"begin", "empty", empty}, {"begin", "page", html},
		{"begin", "no id", text("<InitiateMultipartUploadResult></InitiateMultipartUploadResult>")},
		{"part 2", "empty", empty}, {"part 2", "page", html}, {"part 2", "page with an ETag", file},
		{"part 1", "empty", empty}, {"part 1", "other checksum", other},
		{"complete", "empty", empty}, {"complete", "page", html},
		{"complete", "error", text("<Error><Code>InternalError</Code></Error>")},
		{"complete", "another error", text("<Error><Code>InvalidPart</Code></Error>")},
		{"complete", "no ETag", text("<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>k</Key></CompleteMultipartUploadResult>")},
		{"complete", "other checksum", text("<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><ETag>e</ETag><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></CompleteMultipartUploadResult>")},
	} {
		t.Run(test.what+" "+test.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.answer = func(w http.ResponseWriter, r request) bool {
				if r.what == test.what {
					test.answer(w)
				}
				return r.what == test.what
			}
			o := f.options()
			if test.what == "pack" {
				o.Pack = pairs()
			}
			s := mustOpen(t, o)
			for _, err := range storeBy(t, s, test.what) {
				if pipeline.KindOf(err) != pipeline.KindTemporary {
					t.Errorf("failure %v of kind %s", err, pipeline.KindOf(err))
				}
			}
			if test.what != "put" && test.what != "pack" {
				return
			}
			if err := s.Close(); err != nil { // tries once more to remove leftovers
				t.Error(err)
			}
			if len(f.requests("delete")) == 0 {
				t.Error("what may have been stored was left behind")
			}
		})
	}
}

// pairs returns options with which every pack has two messages.
func pairs() *pack.Options {
	return &pack.Options{Lanes: 1, Linger: time.Minute, Limits: pack.Limits{Messages: 2}}
}

// storeBy stores messages that cause a request of this kind, and returns their results.
func storeBy(t *testing.T, s *Store, kind string) []error {
	t.Helper()
	switch kind {
	case "put":
		sent, err := porttest.Store(s, porttest.NewMessage([]byte("x")))
		if err != nil {
			t.Fatal(err)
		}
		return []error{sent.Err}
	case "pack":
		results := make(chan error, 2)
		for range 2 {
			go func() {
				sent, err := porttest.Store(s, porttest.NewMessage([]byte("x")))
				if err == nil {
					err = sent.Err
				}
				results <- err
			}()
		}
		return []error{<-results, <-results}
	}
	l := porttest.NewLarge(s, make([]byte, MinPartSize))
	l.PutPart([]byte("the last part"))
	failure, err := l.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if failure != nil {
		s.Abort(l.M.Parts.Upload)
		return []error{failure}
	}
	if err := l.Put(); err != nil {
		t.Fatal(err)
	}
	return []error{l.Err}
}

// TestProxyLimit checks that a size limit of a proxy in front of the store is a temporary
// failure, because an operator can raise it. The error names the proxy and what to
// change.
func TestProxyLimit(t *testing.T) {
	for _, kind := range []string{"put", "pack", "part 2", "part 1"} {
		for _, body := range []string{"", "<html><h1>413 Request Entity Too Large</h1><hr>nginx</html>"} {
			t.Run(fmt.Sprint(kind, " ", len(body)), func(t *testing.T) {
				t.Parallel()
				f := newFake(t)
				f.answer = func(w http.ResponseWriter, r request) bool {
					if r.what != kind && (kind != "pack" || r.what != "put") {
						return false
					}
					w.WriteHeader(http.StatusRequestEntityTooLarge)
					_, _ = io.WriteString(w, body)
					return true
				}
				o := f.options()
				if kind == "pack" {
					o.Pack = pairs()
				}
				for _, err := range storeBy(t, mustOpen(t, o), kind) {
					if pipeline.KindOf(err) != pipeline.KindTemporary {
						t.Fatalf("failure %v of kind %s", err, pipeline.KindOf(err))
					}
					for _, want := range []string{f.URL + "/mail", "413", "proxy", "client_max_body_size", "limits.message_size"} {
						if !strings.Contains(err.Error(), want) {
							t.Errorf("%q is not in: %v", want, err)
						}
					}
				}
			})
		}
	}
}

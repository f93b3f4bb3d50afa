package s3

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// front is a proxy in front of an S3 server that can answer in its place.
type front struct {
	*httptest.Server
	mu   sync.Mutex
	hook func(w http.ResponseWriter, r *http.Request, next http.Handler)
}

// front starts a proxy in front of the server.
func (s *server) front(t testing.TB) *front {
	t.Helper()
	s.start(t)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: s.address})
			r.Out.Host = r.In.Host // it is signed
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	f := &front{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		hook := f.hook
		f.mu.Unlock()
		if hook == nil {
			proxy.ServeHTTP(w, r)
			return
		}
		hook(w, r, proxy)
	}))
	t.Cleanup(f.Close)
	return f
}

// set makes hook answer requests from now on. Nil lets the server answer.
func (f *front) set(hook func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

// address returns the host:port of the proxy.
func (f *front) address() string { return strings.TrimPrefix(f.URL, "http://") }

// what returns the kind of a request, as the tests name it.
func what(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "begin"
	case r.Method == http.MethodPost:
		return "complete"
	case r.Method == http.MethodPut && q.Has("partNumber"):
		return "part " + q.Get("partNumber")
	case r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, ".tar"):
		return "pack"
	case r.Method == http.MethodPut && strings.Count(r.URL.Path, "/") > 2:
		return "put"
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return "abort"
	case r.Method == http.MethodDelete:
		return "delete"
	}
	return strings.ToLower(r.Method)
}

// refuse answers with an error as S3 does.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "%s<Error><Code>%s</Code><Message>by the test</Message></Error>", xml.Header, code)
}

// request is a request that a fake received.
type request struct {
	what    string
	header  http.Header
	length  int64
	chunked bool
	body    string
}

// fake is a server that accepts everything and records the requests.
type fake struct {
	*httptest.Server
	mu   sync.Mutex
	seen []request
	// answer is called before the ordinary answer and reports whether it answered.
	answer func(w http.ResponseWriter, r request) bool
}

func newFake(t testing.TB) *fake {
	f := &fake{}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	seen := request{what(r), r.Header, r.ContentLength, len(r.TransferEncoding) > 0, string(body)}
	f.mu.Lock()
	f.seen = append(f.seen, seen)
	answer := f.answer
	f.mu.Unlock()
	if answer != nil && answer(w, seen) {
		return
	}
	switch {
	case seen.what == "begin":
		_, _ = io.WriteString(w, `<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>`)
	case seen.what == "complete":
		_, _ = io.WriteString(w, `<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><ETag>"whole"</ETag></CompleteMultipartUploadResult>`)
	case seen.what == "put", seen.what == "pack":
		w.Header().Set("ETag", `"etag"`)
	case strings.HasPrefix(seen.what, "part "):
		w.Header().Set("ETag", `"etag-`+seen.what[5:]+`"`)
	case seen.what == "abort", seen.what == "delete":
		w.WriteHeader(http.StatusNoContent)
	}
}

// requests returns those of a kind.
func (f *fake) requests(kind string) []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []request
	for _, r := range f.seen {
		if r.what == kind {
			all = append(all, r)
		}
	}
	return all
}

func (f *fake) options() Options {
	return Options{
		Endpoint: strings.TrimPrefix(f.URL, "http://"), Bucket: "mail", Region: "us-east-1",
		AccessKey: testAccess, SecretKey: testSecret, Concurrency: 4, failures: 3,
	}
}

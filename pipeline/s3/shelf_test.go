package s3

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// course is what becomes of a request. The zero value is the ordinary one.
type course struct {
	// effect is what it waits for before it takes effect, whether or not its client still
	// waits; nil for nothing.
	effect <-chan struct{}
	silent bool // it has no answer, and its connection stays
	broken bool // its connection is closed as soon as it was read
}

// shelf is a store that keeps what it is given.
type shelf struct {
	*httptest.Server
	ended chan struct{} // closed at the end of the test

	mu      sync.Mutex
	objects map[string]string // by path
	uploads map[string]string // path by id
	parts   map[string]string // by id and number
	begun   int
	lost    int            // requests that took effect and had no answer
	cleans  int            // how often an object was removed, present or not, or uploads were listed
	seen    map[string]int // requests by kind
	// direct is called with the kind of each request and how many of that kind have come.
	direct func(kind string, n int) course
}

func newShelf(t testing.TB) *shelf {
	s := &shelf{
		ended: make(chan struct{}), objects: map[string]string{}, uploads: map[string]string{},
		parts: map[string]string{}, seen: map[string]int{},
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		close(s.ended)
		s.Close()
	})
	return s
}

func (s *shelf) options() Options {
	return Options{
		Endpoint: strings.TrimPrefix(s.URL, "http://"), Bucket: "mail", Region: "us-east-1",
		AccessKey: testAccess, SecretKey: testSecret, Concurrency: 4,
	}
}

// ServeHTTP implements http.Handler.
func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the request was not sent whole
	}
	kind := what(r)
	s.mu.Lock()
	s.seen[kind]++
	n, direct := s.seen[kind], s.direct
	s.mu.Unlock()
	var c course
	if direct != nil {
		c = direct(kind, n)
	}
	answer := httptest.NewRecorder()
	if c.broken {
		go s.take(answer, r, string(body), c)
		panic(http.ErrAbortHandler)
	}
	if !s.take(answer, r, string(body), c) {
		<-s.ended
		return
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// take lets a request take effect and reports whether it is answered.
func (s *shelf) take(w http.ResponseWriter, r *http.Request, body string, c course) (answered bool) {
	if c.effect != nil {
		select {
		case <-c.effect:
		case <-s.ended:
			return false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve(w, r, body)
	if c.silent || c.broken {
		s.lost++
		return false
	}
	return true
}

// serve lets a request take effect and answers it. s.mu must be held.
func (s *shelf) serve(w http.ResponseWriter, r *http.Request, body string) {
	kind, path, id := what(r), r.URL.Path, r.URL.Query().Get("uploadId")
	switch {
	case kind == "put" || kind == "pack":
		s.objects[path] = body
		w.Header().Set("ETag", `"etag"`)
	case kind == "delete":
		delete(s.objects, path)
		s.cleans++
		w.WriteHeader(http.StatusNoContent)
	case kind == "begin":
		s.begun++
		id = fmt.Sprint("u", s.begun)
		s.uploads[id] = path
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id)
	case kind == "get" && r.URL.Query().Has("uploads"):
		s.cleans++
		s.list(w)
	case id != "" && s.uploads[id] == "":
		refuse(w, http.StatusNotFound, codeNoSuchUpload)
	case strings.HasPrefix(kind, "part "):
		s.parts[id+kind] = body
		w.Header().Set("ETag", `"etag"`)
	case kind == "complete":
		s.objects[path] = s.parts[id+"part 1"] + s.parts[id+"part 2"]
		delete(s.uploads, id)
		_, _ = io.WriteString(w, `<CompleteMultipartUploadResult><Bucket>mail</Bucket><ETag>"whole"</ETag></CompleteMultipartUploadResult>`)
	case kind == "abort":
		delete(s.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	case kind == "head" && strings.Count(path, "/") > 2:
		object, found := s.objects[path]
		if !found {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("ETag", `"whole"`)
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Length", fmt.Sprint(len(object)))
	}
}

// list answers with all pending uploads.
func (s *shelf) list(w io.Writer) {
	fmt.Fprint(w, xml.Header, "<ListMultipartUploadsResult>")
	for id, path := range s.uploads {
		fmt.Fprintf(w, "<Upload><Key>%s</Key><UploadId>%s</UploadId></Upload>", strings.TrimPrefix(path, "/mail/"), id)
	}
	fmt.Fprint(w, "</ListMultipartUploadsResult>")
}

// object returns the object of a key.
func (s *shelf) object(key string) (content string, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, found = s.objects["/mail/"+key]
	return content, found
}

// count returns the number of objects and of pending uploads.
func (s *shelf) count() (objects, uploads int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.objects), len(s.uploads)
}

// cleaned returns how often something was removed, or was looked for to be removed.
func (s *shelf) cleaned() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cleans
}

// unanswered returns how many requests took effect and had no answer.
func (s *shelf) unanswered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

package s3

import (
	"bytes"
	"io"
	"net/http"
)

// gathered is the longest body, octets, that goes out together with its header:
// both fit the connection's buffer.
const gathered = wireBuffer - 16<<10

// gather sends small requests by one write. net/http sends the header on its own
// before a body whose reader it does not know, and minio-go wraps every reader:
// that is a second system call here, and often a second wake-up at the store.
type gather struct{ *http.Transport }

// RoundTrip reads a small body before it is asked for. The copy belongs to
// net/http, which may go on reading it after the answer, so it is not used again.
func (g gather) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.ContentLength <= 0 || r.ContentLength > gathered {
		return g.send(r)
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	if closing := r.Body.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, err
	}
	r = r.WithContext(r.Context()) // a shallow copy: the caller's stays as it is
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.GetBody = nil
	return g.send(r)
}

// send makes the request. An object, or a part of one, has our checksum beside it.
func (g gather) send(r *http.Request) (*http.Response, error) {
	answer, err := g.Transport.RoundTrip(r)
	if err != nil || r.Method != http.MethodPut || r.Header.Get(headerChecksum) == "" {
		return answer, err
	}
	if err := emptyAnswer(answer); err != nil {
		_ = answer.Body.Close()
		return nil, err
	}
	return answer, nil
}

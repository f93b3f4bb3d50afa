package s3

import (
	"bytes"
	"io"
	"net/http"
)

// maxCoalesced is the size of the largest body, in bytes, that is sent together with its
// header: both fit the buffer of the connection.
const maxCoalesced = wireBuffer - 16<<10

// coalescer sends a small request in one write. net/http sends the header in a write of
// its own unless it knows the type of the body's reader. It never does, because minio-go
// wraps every reader. That costs a second system call here, and often a second wake-up at
// the store.
type coalescer struct{ *http.Transport }

// RoundTrip implements http.RoundTripper. It reads a small body into memory first. The
// copy is not reused: net/http may read it even after the response.
func (g coalescer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.ContentLength <= 0 || r.ContentLength > maxCoalesced {
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
	r = r.WithContext(r.Context()) // a shallow copy: the caller's request does not change
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.GetBody = nil
	return g.send(r)
}

// send makes the request. The response to an object or a part, which carry our checksum,
// must have no body.
func (g coalescer) send(r *http.Request) (*http.Response, error) {
	response, err := g.Transport.RoundTrip(r)
	if err != nil || r.Method != http.MethodPut || r.Header.Get(headerChecksum) == "" {
		return response, err
	}
	if err := requireEmptyBody(response); err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	return response, nil
}

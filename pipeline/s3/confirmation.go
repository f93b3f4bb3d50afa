package s3

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

var (
	// errEarly is a 200 to a request that was not read whole: whatever was stored is
	// not the message.
	errEarly = errors.New("the store answered before it had all bytes")
	// errChecksum is a response that names another checksum than the one sent.
	errChecksum = errors.New("the store has another checksum")
	// errNoETag is a 200 without an ETag, which every S3 sends for a stored object.
	errNoETag = errors.New("answered 200 without an ETag: what answers is not the store, or has stored nothing")
	// errPage is a 200 with a body, which no S3 sends for a stored object.
	errPage = errors.New("answered 200 with a page: what answers is not the store")
	// errNoUpload is a 200 to the initiation of an upload that has no upload id.
	errNoUpload = errors.New("answered 200 without an upload's id: what answers is not the store")
)

// confirmation holds what a store answers for an object or a part that it has stored.
type confirmation struct{ etag, checksum string }

// confirm returns an error unless the response confirms that the bytes with the checksum
// sent were stored. A page of a front end with status 200 confirms nothing. A store that
// does not know the checksum header would accept damaged bytes.
func (c confirmation) confirm(sent string, err error) error {
	switch {
	case err != nil:
		return err
	case c.etag == "":
		return errNoETag
	case c.checksum != "" && c.checksum != sent:
		return errChecksum
	}
	return nil
}

// requireEmptyBody returns an error when the response to a stored object has a body.
func requireEmptyBody(r *http.Response) error {
	if r.StatusCode != http.StatusOK || r.ContentLength == 0 {
		return nil
	}
	var first [1]byte
	if n, _ := io.ReadFull(r.Body, first[:]); n > 0 {
		return errPage
	}
	return nil
}

// explainTooLarge adds to a 413 the server that sent it and the settings to change. The
// size was offered to the sender, so only the operator can fix it. It returns other
// errors as they are.
func (s *Store) explainTooLarge(err error) error {
	if r, ok := response(err); !ok || r.StatusCode != http.StatusRequestEntityTooLarge {
		return err
	}
	return fmt.Errorf("%s/%s answered 413, a request of this size is not let through: raise the limit of the proxy"+
		" before the store (nginx: client_max_body_size) above store.s3.part_size and store.pack.max_bytes,"+
		" or lower these and limits.message_size: %w", s.client.EndpointURL(), s.bucket, err)
}

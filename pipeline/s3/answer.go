package s3

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

var (
	// errEarly is an answer 200 to a request that was not read whole: whatever was
	// stored is not the message.
	errEarly = errors.New("the store answered before it had all octets")
	// errChecksum is an answer that names another checksum than the one sent.
	errChecksum = errors.New("the store has another checksum")
	// errNoETag is an answer 200 without what every S3 answers for a stored object.
	errNoETag = errors.New("answered 200 without an ETag: what answers is not the store, or has stored nothing")
	// errPage is an answer 200 with a body, which no S3 has for a stored object.
	errPage = errors.New("answered 200 with a page: what answers is not the store")
	// errNoUpload is an upload that was begun and has no id.
	errNoUpload = errors.New("answered 200 without an upload's id: what answers is not the store")
)

// confirmation is what a store answers for octets that it has stored.
type confirmation struct{ etag, checksum string }

// confirm returns an error unless the answer confirms that the octets with the
// checksum sent were stored. A front end's own page with status 200 confirms
// nothing, and a store that does not know the checksum's header would store anything.
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

// emptyAnswer returns an error when the answer to a stored object has a body.
func emptyAnswer(r *http.Response) error {
	if r.StatusCode != http.StatusOK || r.ContentLength == 0 {
		return nil
	}
	var octet [1]byte
	if n, _ := io.ReadFull(r.Body, octet[:]); n > 0 {
		return errPage
	}
	return nil
}

// proxied names the server and the way to mend a request that was too large for
// it. The size was offered to the sender, so this is an operator's to mend.
func (s *Store) proxied(err error) error {
	if r, ok := response(err); !ok || r.StatusCode != http.StatusRequestEntityTooLarge {
		return err
	}
	return fmt.Errorf("%s/%s answered 413, a request of this size is not let through: raise the limit of the proxy"+
		" before the store (nginx: client_max_body_size) above store.s3.part_size and store.pack.max_bytes,"+
		" or lower these and limits.message_size: %w", s.client.EndpointURL(), s.bucket, err)
}

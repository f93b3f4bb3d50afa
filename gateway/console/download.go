package console

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"time"

	"sluice/index"
	"sluice/index/content"
)

const chunk = 64 << 10 // bytes of a download that are sent at a time

// raw sends a message as it is stored.
func (c *console) raw(w http.ResponseWriter, r *http.Request) error {
	m, err := c.get(r)
	if err != nil {
		return err
	}
	return c.download(w, r, m, func(d *download, body io.Reader) error {
		w.Header().Set("Content-Length", strconv.FormatInt(m.Blob.Length, 10))
		return d.send(body, m.ID.String()+".eml")
	})
}

// part sends one part of a message, decoded.
func (c *console) part(w http.ResponseWriter, r *http.Request) error {
	m, err := c.get(r)
	if err != nil {
		return err
	}
	number := r.PathValue("number")
	none := &fault{status: http.StatusNotFound, text: "The message has no such part."}
	i := slices.IndexFunc(m.Parts, func(p index.Part) bool { return p.Number == number })
	if i < 0 {
		return none
	}
	name := filename(m.Parts[i].Name.Text, m.ID.String()+"-"+number+extension(m.Parts[i].Type))
	return c.download(w, r, m, func(d *download, body io.Reader) error {
		err := content.Part(body, number, func(_ *index.Part, decoded io.Reader) error {
			return d.send(decoded, name)
		})
		if errors.Is(err, fs.ErrNotExist) {
			return none
		}
		return err
	})
}

// extension returns that of a part without a name.
func extension(mediaType string) string {
	switch mediaType {
	case "message/rfc822":
		return ".eml"
	case "text/plain":
		return ".txt"
	}
	return ".bin"
}

// download is an answer with bytes of a message. Its reads and writes must make progress.
type download struct {
	w     http.ResponseWriter
	r     *http.Request
	time  time.Duration // of a chunk
	watch *time.Timer   // cancels the reading
	begun bool          // the answer has
}

// download calls send with the stored message. An answer that fails once it has begun is
// cut off, so that the client sees that it is not whole.
func (c *console) download(w http.ResponseWriter, r *http.Request, m *index.Message, send func(*download, io.Reader) error) error {
	leave, err := c.reads.take(r.Context(), "Too many downloads run at once.")
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	d := &download{w: w, r: r, time: c.chunkTime, watch: time.AfterFunc(c.chunkTime, cancel)}
	defer d.watch.Stop()
	body, err := c.Open(ctx, m.Blob)
	if err != nil {
		return ofStore(err)
	}
	defer body.Close()
	source := &source{Reader: body}
	if err = send(d, source); err == nil {
		err = source.err // which a parser may take for the end
	}
	switch {
	case err == nil:
		return nil
	case d.begun:
		// What net/http writes to end the answer fails, and it closes the connection.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
		return nil
	}
	w.Header().Del("Content-Length")
	if f := (*fault)(nil); errors.As(err, &f) {
		return err
	}
	return ofStore(err)
}

// source is a stored message that remembers why it cannot be read to its end.
type source struct {
	io.Reader
	err error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// send sends body as a file of this name. The answer begins once body can be read.
func (d *download) send(body io.Reader, name string) error {
	in := bufio.NewReaderSize(body, chunk)
	if _, err := in.Peek(1); err != nil && err != io.EOF {
		return err
	}
	h := d.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", disposition(name))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Accept-Ranges", "none")
	d.begun = true
	d.w.WriteHeader(http.StatusOK)
	if d.r.Method == http.MethodHead {
		return nil
	}
	_, err := io.CopyBuffer(struct{ io.Writer }{d}, struct{ io.Reader }{in}, make([]byte, chunk))
	return err
}

// Write sends a chunk within the time of one.
func (d *download) Write(p []byte) (int, error) {
	d.watch.Reset(2 * d.time) // to write this one, and to read the next
	err := http.NewResponseController(d.w).SetWriteDeadline(time.Now().Add(d.time))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return d.w.Write(p)
}

package console

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"unicode/utf8"

	"sluice/index"
	"sluice/index/content"
)

// What is shown of a stored message, in bytes.
const (
	maxShownText   = 128 << 10
	maxShownFields = 64 << 10
)

// message answers with the page of one message.
func (c *console) message(w http.ResponseWriter, r *http.Request) error {
	m, err := c.get(r)
	if err != nil {
		return err
	}
	view := messageOf(m)
	if err := c.read(r.Context(), m, &view); err != nil { // what was read before is shown
		view.Unread = viewFault(asFault(err))
	}
	render(w, http.StatusOK, "message", view)
	return nil
}

// messageJSON returns one message in JSON.
func (c *console) messageJSON(r *http.Request) ([]byte, error) {
	m, err := c.get(r)
	if err != nil {
		return nil, err
	}
	return json.Marshal(m)
}

// read adds what is shown of the stored message itself.
func (c *console) read(ctx context.Context, m *index.Message, view *messageView) error {
	leave, err := c.reads.take(ctx, "Too many messages are read at once.")
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	view.Fields, err = c.shown(ctx, m.Blob, maxShownFields, content.Fields)
	if err != nil && view.Fields == "" {
		return err
	}
	view.Text, err = c.shown(ctx, m.Blob, maxShownText, content.Text)
	return err
}

// shown returns at most limit bytes of what get finds in a stored message, for showing.
func (c *console) shown(ctx context.Context, b index.Blob, limit int, get func(io.Reader, int) (string, error)) (string, error) {
	body, err := c.Open(ctx, b)
	if err != nil {
		return "", ofStore(err)
	}
	defer body.Close()
	text, err := get(body, limit)
	if err != nil {
		err = ofStore(err)
	}
	more := len(text) > limit-utf8.UTFMax
	if text = visibleLines(text); more {
		text += "\n[…]"
	}
	return text, err
}

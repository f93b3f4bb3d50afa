// Package content reads mail as it is stored: what the header says, the parts, what is
// malformed, and the text that a search looks through. It reads each message once, from
// its beginning to its end, in memory that does not depend on its size.
//
// Mail that other parsers refuse is no error. What can be read is kept, and a defect says
// what was wrong (index.Defect).
package content

import (
	"io"
	"io/fs"
	"strings"

	"sluice/index"
)

// Content is what Read finds.
type Content struct {
	Header  index.Header
	Parts   []index.Part
	Defects []index.Defect
	Text    string // the first bytes of the text parts, decoded, at most the limit
}

// maxDefects bounds the defects of a message. Each kind is there once for a part.
const maxDefects = 1000

func (c *Content) defect(kind, part string) {
	d := index.Defect{Kind: kind, Part: part}
	for _, other := range c.Defects[max(0, len(c.Defects)-16):] {
		if other == d {
			return
		}
	}
	if len(c.Defects) < maxDefects {
		c.Defects = append(c.Defects, d)
	}
}

// Read reads a message as it is stored to its end, and keeps at most text bytes of its
// text. It returns an error only if r does.
func Read(r io.Reader, text int) (*Content, error) {
	w := newWalker(r)
	w.text.limit, w.measure = text, true
	w.walk()
	w.content.Text = w.text.String()
	if _, err := io.Copy(io.Discard, w.source); err != nil {
		return nil, err
	}
	if w.source.err != nil {
		return nil, w.source.err
	}
	return w.content, nil
}

// Part finds the part with a number, and calls with for it and for its decoded bytes,
// before their size and their hash are known. It returns what with does, or
// fs.ErrNotExist if there is no such part.
func Part(r io.Reader, number string, with func(p *index.Part, decoded io.Reader) error) error {
	w := newWalker(r)
	found, err := false, error(nil)
	w.visit = func(p *index.Part, decoded io.Reader) bool {
		if p.Number == number {
			found, err = true, with(p, decoded)
		}
		return found
	}
	w.walk()
	switch {
	case found:
		return err
	case w.source.err != nil:
		return w.source.err
	}
	return fs.ErrNotExist
}

// Fields returns the fields of the header of a message as they came, at most limit bytes.
func Fields(r io.Reader, limit int) (string, error) {
	w := newWalker(r)
	h := readHeader(newStream(w.source), limit, limit, nil)
	return string(h.block), w.source.err
}

// Text returns the text of a message, as UTF-8 and at most limit bytes: of its parts of
// text/plain, or of text/html without the markup where there is none, but of attachments.
func Text(r io.Reader, limit int) (string, error) {
	w := newWalker(r)
	w.text.limit = limit
	w.walk()
	return strings.TrimSpace(w.text.String()), w.source.err
}

// source is where a message comes from. An error ends it as its end does, and is kept.
type source struct {
	r    io.Reader
	done bool
	err  error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if s.done {
		return 0, io.EOF
	}
	n, err := s.r.Read(p)
	if err != nil {
		s.done = true
		if err != io.EOF {
			s.err = err
		}
		err = io.EOF
	}
	return n, err
}

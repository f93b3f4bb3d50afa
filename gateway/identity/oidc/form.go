package oidc

import (
	"io"
	"sync"
)

// form is the body of a request (application/x-www-form-urlencoded). It can be wiped, also
// while the transport may still read it.
type form struct {
	mu   sync.Mutex
	text []byte
}

// add adds a field.
func (f *form) add(name string, value []byte) {
	need := len(f.text) + len(name) + 3*len(value) + 2
	if need > cap(f.text) {
		larger := append(make([]byte, 0, 2*need), f.text...)
		clear(f.text)
		f.text = larger
	}
	if len(f.text) > 0 {
		f.text = append(f.text, '&')
	}
	f.text = append(append(f.text, name...), '=')
	f.text = appendEscaped(f.text, value)
}

// appendEscaped appends a value as it stands in a form.
func appendEscaped(to, value []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range value {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
			to = append(to, c)
		default:
			to = append(to, '%', digits[c>>4], digits[c&15])
		}
	}
	return to
}

// wipe overwrites the form. Whoever reads it reads nothing any more.
func (f *form) wipe() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.text)
	f.text = nil
}

// reader returns a reader of the form from its beginning.
func (f *form) reader() io.ReadCloser { return &formReader{form: f} }

// formReader reads a form.
type formReader struct {
	form *form
	at   int
}

// Read implements io.Reader.
func (r *formReader) Read(b []byte) (int, error) {
	r.form.mu.Lock()
	defer r.form.mu.Unlock()
	if r.at >= len(r.form.text) {
		return 0, io.EOF
	}
	n := copy(b, r.form.text[r.at:])
	r.at += n
	return n, nil
}

// Close implements io.Closer.
func (r *formReader) Close() error { return nil }

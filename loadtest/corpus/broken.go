package corpus

import (
	"bytes"
	"fmt"
)

// brokenForms are mails that something is wrong with. What can be known of them all the same
// stands in their truth.
var brokenForms = []form{
	{name: "without end", weight: 3, write: func(w *writer) *node {
		n := w.multipart("mixed", w.plain(), w.file(300))
		n.open = true
		return w.broken("boundary", n)
	}},
	{name: "inner without end", weight: 2, write: func(w *writer) *node {
		inner := w.alternative()
		inner.open = true
		return w.broken("boundary", w.multipart("mixed", inner, w.file(200)))
	}},
	{name: "broken base64", weight: 3, write: func(w *writer) *node {
		n := w.file(300)
		n.raw = []byte("AAAA*&%$#\r\n!!!=AAA\r\n")
		return w.broken("encoding", w.multipart("mixed", w.plain(), n, w.file(40)))
	}},
	{name: "cut base64", weight: 2, write: func(w *writer) *node {
		n := w.file(0)
		n.raw = []byte("QUJDRA\r\n")
		return w.broken("encoding", w.multipart("mixed", w.plain(), n, w.file(40)))
	}},
	{name: "broken type", weight: 3, write: func(w *writer) *node {
		n := w.leaf("", "", fmt.Appendf(nil, "something %d\r\n", w.truth.Number), "")
		n.fields.add("Content-Type", one(w, []string{"text", "text/", ";charset=utf-8", "application/pdf pdf; name", "=?utf-8?q?x?="}))
		n.part.Type = ""
		return w.broken("content_type", w.multipart("mixed", w.plain(), n, w.file(60)))
	}},
	{name: "unknown charset", weight: 2, write: func(w *writer) *node {
		w.found(fmt.Sprintf("t%dt", w.truth.Number))
		n := w.leaf("text/plain", "; charset=x-unheard-of", fmt.Appendf(nil, "t%dt \xff\r\n", w.truth.Number), "8bit")
		n.part.Charset = "x-unheard-of"
		return w.broken("charset", n)
	}},
	{name: "unknown encoding", weight: 2, write: func(w *writer) *node {
		n := w.leaf("application/octet-stream", "", nil, "")
		n.raw = fmt.Appendf(nil, "something %d\r\n", w.truth.Number)
		n.fields.add("Content-Transfer-Encoding", "x-unheard-of")
		return w.broken("encoding", w.multipart("mixed", w.plain(), n, w.file(60)))
	}},
	{name: "without boundary", weight: 2, write: func(w *writer) *node {
		n := w.leaf("", "", nil, "")
		n.raw = []byte("--x\r\n\r\nsomething\r\n--x--\r\n")
		n.fields.add("Content-Type", "multipart/mixed")
		n.part.Type = ""
		return w.broken("boundary", n)
	}},
	{name: "no part", weight: 1, write: func(w *writer) *node {
		w.truth.Odd = true
		return w.multipart("mixed")
	}},
	{name: "line without colon", weight: 2,
		write: func(w *writer) *node {
			w.truth.Odd = true
			return w.plain()
		},
		change: func(_ *writer, content []byte) []byte {
			return bytes.Replace(content, []byte("\r\nMIME-Version"), []byte("\r\nthis is no field\r\nMIME-Version"), 1)
		}},
	{name: "nothing", weight: 0, // once: another mail could not be told from it
		write: func(w *writer) *node { return w.leaf("", "", nil, "") },
		change: func(w *writer, _ []byte) []byte {
			w.truth.Header, w.truth.Broken, w.truth.Odd = Header{}, nil, true
			return nil
		}},
}

// broken notes that a defect must be recorded.
func (w *writer) broken(kind string, n *node) *node {
	w.truth.Broken = append(w.truth.Broken, kind)
	return n
}

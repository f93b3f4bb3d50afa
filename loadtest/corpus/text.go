package corpus

import (
	"fmt"
	"html"
	"strings"
)

// text draws a text of some lines, whose words can be found.
func (w *writer) text(lines int) string {
	var b strings.Builder
	for i := range lines {
		if i == lines/2 {
			fmt.Fprintf(&b, "t%dt ", w.truth.Number)
		}
		b.WriteString(w.words(1+w.random.IntN(7)) + one(w, []string{".", ",", " ", ""}) + "\r\n")
		if w.chance(20) {
			b.WriteString(one(w, []string{".\r\n", "..\r\n", "-- \r\n", ">From here\r\n"}))
		}
	}
	return b.String()
}

// found adds text to what can be found, and returns it.
func (w *writer) found(text string) string {
	w.truth.Text += text + "\n"
	return text
}

// textLeaf returns a leaf with text in one of the language's charsets and a transfer
// encoding that fits it.
func (w *writer) textLeaf(kind, text string) *node {
	c := w.charset()
	content := []byte(c.encode(text))
	encoding := one(w, []string{"base64", "quoted-printable", "8bit", "8bit"})
	if isASCII(string(content)) {
		encoding = one(w, []string{"base64", "quoted-printable", "7bit", ""})
	}
	name := c.name
	if w.chance(4) {
		name = strings.ToUpper(name)
	}
	params := one(w, []string{"; charset=" + name, "; charset=\"" + name + "\"", ";\r\n\tcharset=" + name})
	if w.chance(5) {
		params += "; format=flowed; delsp=yes"
	}
	n := w.leaf(kind, params, content, encoding)
	n.part.Charset = c.name
	return n
}

// plain returns a text/plain with some lines that can be found.
func (w *writer) plain() *node {
	return w.textLeaf("text/plain", w.found(w.text(1+w.random.IntN(12))))
}

// html returns a text/html with a text that can be found.
func (w *writer) html(text string) *node {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\r\n<html><head><style type=\"text/css\">p.hidden { color: red }</style>" +
		"<script>var unseen = \"<b>unseen</b>\";</script></head>\r\n<body class=\"outer\">\r\n")
	for line := range strings.Lines(w.found(text)) {
		words := strings.Fields(line)
		for i, word := range words {
			switch word = html.EscapeString(word); {
			case i == 0:
				b.WriteString("<p title='tooltip'>" + word)
			case w.chance(4):
				b.WriteString(" <b>" + word + "</b>")
			default:
				b.WriteString("&nbsp;" + word)
			}
		}
		b.WriteString("</p><!-- unseen -->\r\n")
	}
	b.WriteString("<img src=\"cid:1\" alt=\"\"></body></html>\r\n")
	return w.textLeaf("text/html", b.String())
}

// beside returns a text/html beside a text/plain, in which nothing is looked for.
func (w *writer) beside() *node {
	found := w.truth.Text
	n := w.html(w.text(3))
	w.truth.Text = found
	return n
}

// file returns an attachment with so many bytes and a name.
func (w *writer) file(size int) *node {
	kind := one(w, extensions)
	return w.named(kind.kind, w.fileName()+"."+kind.ending, w.bytes(size))
}

// bytes returns random bytes.
func (w *writer) bytes(size int) []byte {
	b := make([]byte, size+8)
	for i := 0; i < size; i += 8 {
		for v, at := w.random.Uint64(), i; at < i+8; at++ {
			b[at], v = byte(v), v>>8
		}
	}
	return b[:size]
}

// named returns a leaf in base64 with a name that can be found.
func (w *writer) named(kind, name string, content []byte) *node {
	var params, disposition string
	var vague, vagueToo bool
	where := w.random.IntN(4) // in Content-Type, in Content-Disposition, or in both
	if where <= 1 {
		params, vague = w.parameter("name", name)
	}
	if where >= 1 {
		disposition, vagueToo = w.parameter("filename", name)
	}
	n := w.leaf(kind, params, content, "base64")
	if where >= 1 {
		n.part.Disposition = one(w, []string{"attachment", "attachment", "inline"})
		n.fields.add("Content-Disposition", n.part.Disposition+disposition)
	}
	n.part.Name.Text = name
	// The name of Content-Disposition holds.
	n.part.Vague = where == 0 && vague || vagueToo
	return n
}

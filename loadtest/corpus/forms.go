package corpus

import (
	"bytes"
	"fmt"
	"strings"
)

// form is what is special about a mail.
type form struct {
	name   string
	weight int // how often it is drawn
	write  func(w *writer) *node
	change func(w *writer, content []byte) []byte // nil, or what becomes of it then
}

var (
	largeForm = form{name: "large", write: func(w *writer) *node {
		return w.multipart("mixed", w.plain(), w.file(1<<20+w.random.IntN(4<<20)))
	}}
	hugeForm = form{name: "huge", write: func(w *writer) *node { return w.multipart("mixed", w.plain(), w.file(30<<20)) }}
)

var forms []form

func init() {
	forms = append(wellFormed, brokenForms...)
}

var wellFormed = []form{
	{name: "plain", weight: 20, write: (*writer).plain},
	{name: "without MIME", weight: 5, write: func(w *writer) *node {
		return w.leaf("", "", []byte(w.found(fmt.Sprintf("plain old mail t%dt\r\n", w.truth.Number))), "")
	}},
	{name: "html", weight: 8, write: func(w *writer) *node { return w.html(w.text(6)) }},
	{name: "alternative", weight: 15, write: (*writer).alternative},
	{name: "mixed", weight: 20, write: func(w *writer) *node {
		children := []*node{w.plain()}
		for range 1 + w.random.IntN(3) {
			children = append(children, w.file(w.random.IntN(12<<10)))
		}
		return w.multipart("mixed", children...)
	}},
	{name: "related", weight: 8, write: func(w *writer) *node {
		return w.multipart("mixed", w.multipart("related", w.html(w.text(4)), w.image()), w.file(3000))
	}},
	{name: "nested", weight: 8, write: func(w *writer) *node {
		return w.multipart("mixed", w.multipart("related", w.alternative(), w.image()), w.file(700), w.plain())
	}},
	{name: "deep", weight: 3, write: func(w *writer) *node {
		n := w.plain()
		for range 3 + w.random.IntN(10) {
			n = w.multipart("mixed", n)
			if w.chance(2) {
				n.children = append(n.children, w.file(50))
			}
		}
		return n
	}},
	{name: "one in another", weight: 2, write: func(w *writer) *node { // boundaries that begin alike
		n := w.multipart("mixed", w.multipart("alternative", w.plain(), w.beside()), w.file(90))
		inner := n.children[0]
		inner.setBoundary(n.setBoundary("outer") + "-inner")
		return n
	}},
	{name: "forwarded", weight: 6, write: func(w *writer) *node {
		return w.multipart("mixed", w.plain(), w.message(w.innerHeader(), w.plain()))
	}},
	{name: "forwarded twice", weight: 4, write: func(w *writer) *node {
		inner := w.message(w.innerHeader(), w.multipart("mixed", w.plain(), w.file(400)))
		middle := w.message(w.innerHeader(), w.multipart("mixed", w.plain(), inner, w.file(10)))
		return w.multipart("mixed", w.plain(), middle, w.file(20))
	}},
	{name: "only a message", weight: 1, write: func(w *writer) *node { return w.message(w.innerHeader(), w.alternative()) }},
	{name: "digest", weight: 2, write: func(w *writer) *node { // RFC 2046 §5.1.5
		one, two := w.message(w.innerHeader(), w.plain()), w.message(w.innerHeader(), w.plain())
		one.fields.Reset()
		return w.multipart("digest", one, two)
	}},
	{name: "report", weight: 4, write: (*writer).report},
	{name: "winmail.dat", weight: 3, write: func(w *writer) *node {
		n := w.leaf("application/ms-tnef", "; name=\"winmail.dat\"", w.bytes(2000), "base64")
		n.fields.add("Content-Disposition", "attachment; filename=\"winmail.dat\"")
		n.part.Disposition, n.part.Name.Text = "attachment", "winmail.dat"
		return w.multipart("mixed", w.plain(), n)
	}},
	{name: "S/MIME", weight: 3, write: func(w *writer) *node {
		n := w.leaf("application/pkcs7-mime", "; smime-type=enveloped-data; name=smime.p7m", w.bytes(5000), "base64")
		n.fields.add("Content-Disposition", "attachment; filename=smime.p7m")
		n.part.Disposition, n.part.Name.Text = "attachment", "smime.p7m"
		return n
	}},
	{name: "signed", weight: 4, write: func(w *writer) *node {
		n := w.leaf("application/pkcs7-signature", "; name=smime.p7s", w.bytes(2500), "base64")
		n.fields.add("Content-Disposition", "attachment; filename=smime.p7s")
		n.part.Disposition, n.part.Name.Text = "attachment", "smime.p7s"
		return w.multipart("signed", w.alternative(), n)
	}},
	{name: "encrypted", weight: 2, write: func(w *writer) *node {
		n := w.leaf("application/octet-stream", "; name=encrypted.asc", []byte("-----BEGIN PGP MESSAGE-----\r\n"), "7bit")
		n.part.Name.Text = "encrypted.asc"
		return w.multipart("encrypted", w.leaf("application/pgp-encrypted", "", []byte("Version: 1\r\n"), ""), n)
	}},
	{name: "calendar", weight: 5, write: (*writer).calendar},
	{name: "text files", weight: 5, write: func(w *writer) *node {
		csv := w.named("text/csv", w.fileName()+".csv", []byte("unseen;rows\r\n1;2\r\n"))
		return w.multipart("mixed", w.plain(), csv)
	}},
	{name: "long", weight: 4, write: func(w *writer) *node {
		filler := strings.Repeat("lorem ipsum dolor sit amet\r\n", 300)
		text := w.found(w.text(10))
		return w.textLeaf("text/plain", text+filler+fmt.Sprintf("late%dlate\r\n", w.truth.Number))
	}},
	{name: "many parts", weight: 2, write: func(w *writer) *node {
		children := []*node{w.plain()}
		for range 30 + w.random.IntN(100) {
			children = append(children, w.file(w.random.IntN(40)))
		}
		return w.multipart("mixed", children...)
	}},
	{name: "empty body", weight: 2, write: func(w *writer) *node { return w.leaf("", "", nil, "") }},
	{name: "empty file", weight: 2, write: func(w *writer) *node { return w.multipart("mixed", w.plain(), w.file(0)) }},
	{name: "only a header", weight: 2,
		write:  func(w *writer) *node { return w.leaf("", "", nil, "") },
		change: func(_ *writer, content []byte) []byte { return bytes.TrimSuffix(content, []byte("\r\n")) }},
	{name: "only a file", weight: 4, write: func(w *writer) *node { return w.file(4000) }},
}

func (w *writer) alternative() *node {
	n := w.multipart("alternative", w.plain(), nil)
	n.children[1] = w.beside()
	return n
}

func (w *writer) image() *node {
	n := w.named("image/png", w.fileName()+".png", w.bytes(500))
	n.fields.add("Content-ID", "<1>")
	return n
}

// innerHeader returns the header of a message in a message, by which nothing is found.
func (w *writer) innerHeader() string {
	return "From: \"Inner\" <inner@inside.example>\r\nTo: other@inside.example\r\nSubject: innersubject\r\n" +
		fmt.Sprintf("Message-ID: <inner%d@inside.example>\r\n", w.truth.Number)
}

// report returns a notification of delivery (RFC 6522).
func (w *writer) report() *node {
	status := w.leaf("message/delivery-status", "", []byte("Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; x@y.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"), "")
	n := w.multipart("report", w.plain(), status, w.leaf("text/rfc822-headers", "", []byte(w.innerHeader()), ""))
	n.fields.Truncate(n.fields.Len() - 2)
	n.fields.WriteString("; report-type=delivery-status\r\n")
	return n
}

// calendar returns an invitation (RFC 5546).
func (w *writer) calendar() *node {
	event := []byte("BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:unseen\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
	invitation := w.leaf("text/calendar", "; charset=utf-8; method=REQUEST", event, "base64")
	invitation.part.Charset = "utf-8"
	both := w.multipart("alternative", w.plain(), w.beside(), invitation)
	return w.multipart("mixed", both, w.named("application/ics", "invite.ics", event))
}

// setBoundary replaces the boundary of a multipart and returns it.
func (n *node) setBoundary(boundary string) string {
	all := n.fields.String()
	n.fields.Reset()
	n.fields.WriteString(strings.ReplaceAll(all, n.boundary, boundary))
	n.boundary = boundary
	return boundary
}

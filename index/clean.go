package index

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of what a row keeps, in bytes.
const (
	maxAddress   = 512       // RFC 5321 §4.5.3.1 has 64 + 1 + 255
	maxID        = 998       // of Message-ID and References: a line (RFC 5322 §2.1.1)
	maxText      = 4096      // of a subject, a name
	maxWord      = 255       // of a type, a charset, a name of a host
	maxMailboxes = 4096      // of one header field, in number
	maxRefs      = 100       // of References, in number; the last ones
	maxDefects   = 100       // in number
	maxNames     = 256 << 10 // of the names of all parts: lists have many rows in memory
)

// mark ends a text that was cut.
const mark = "…"

// Clean makes m acceptable for any database: it replaces what is not UTF-8 and NUL by
// U+FFFD, cuts what is longer than its bound with a mark and a defect, and drops a date
// outside of the years 1 to 9999.
func Clean(m *Message) {
	c := cleaner{}
	c.text(&m.Gateway, maxWord)
	c.text(&m.Client.Name, maxWord)
	c.text(&m.Client.Helo, maxAddress)
	c.text(&m.Client.Identity, maxAddress)
	c.text(&m.Client.Protocol, maxWord)
	c.text(&m.Client.TLSVersion, maxWord)
	c.text(&m.Client.TLSCipher, maxWord)
	c.text(&m.Client.Role, maxWord)
	c.text(&m.MailFrom, maxAddress)
	for i := range m.RcptTo {
		c.text(&m.RcptTo[i], maxAddress)
	}
	c.text(&m.Blob.Store, maxWord)
	c.text(&m.Blob.Bucket, maxWord)
	c.text(&m.Blob.Key, maxText)
	c.header(&m.Header)
	names := 0
	for i := range m.Parts {
		p := &m.Parts[i]
		c.text(&p.Number, maxWord)
		c.text(&p.Type, maxWord)
		c.text(&p.Charset, maxWord)
		c.text(&p.Disposition, maxWord)
		c.encoded(&p.Name)
		if names += len(p.Name.Text) + len(p.Name.Raw); names > maxNames {
			p.Name, c.cut = Text{}, true
		}
	}
	if c.cut {
		m.Defects = append(m.Defects, Defect{Kind: DefectCut})
	}
	if len(m.Defects) > maxDefects {
		m.Defects = m.Defects[:maxDefects]
	}
}

type cleaner struct{ cut bool }

func (c *cleaner) header(h *Header) {
	c.text(&h.MessageID, maxID)
	if n := len(h.References); n > maxRefs {
		h.References, c.cut = h.References[n-maxRefs:], true
	}
	for i := range h.References {
		c.text(&h.References[i], maxID)
	}
	for _, list := range []*[]Address{&h.From, &h.To, &h.Cc, &h.ReplyTo} {
		if len(*list) > maxMailboxes {
			*list, c.cut = (*list)[:maxMailboxes], true
		}
		for i := range *list {
			c.encoded(&(*list)[i].Name)
			c.text(&(*list)[i].Address, maxAddress)
		}
	}
	c.encoded(&h.Subject)
	if y := h.Date.Year(); y < 1 || y > 9999 {
		h.Date = time.Time{}
	}
}

func (c *cleaner) encoded(t *Text) {
	c.text(&t.Text, maxText)
	c.text(&t.Raw, maxText)
}

// text cleans one text and cuts it to at most most bytes.
func (c *cleaner) text(s *string, most int) {
	if !utf8.ValidString(*s) {
		*s = strings.ToValidUTF8(*s, "\uFFFD")
	}
	if strings.IndexByte(*s, 0) >= 0 {
		*s = strings.ReplaceAll(*s, "\x00", "\uFFFD")
	}
	if len(*s) <= most {
		return
	}
	end := most - len(mark)
	for !utf8.RuneStart((*s)[end]) {
		end--
	}
	*s, c.cut = (*s)[:end]+mark, true
}

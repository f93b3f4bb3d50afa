package console

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"sluice/index"
	"sluice/pipeline"
)

// Bounds of lists on the page of one message. Its JSON has them whole.
const (
	maxShownAddresses = 500
	maxShownParts     = 500
	unfolded          = 12 // addresses that are to be seen at once
)

// messageView is what the page of one message shows.
type messageView struct {
	Title     string
	M         *index.Message
	From      []mailbox
	Lists     []mailboxes // To, Cc and Reply-To
	RcptTo    mailboxes
	Client    string
	TLS       string
	Place     string
	Skipped   string
	Forged    int
	LongHead  bool
	Checks    []check
	Parts     []part
	MoreParts int
	Defects   []string
	Related   string // the search for what refers to it
	Sender    string // the search for the envelope's sender
	Fields    string
	Text      string
	Unread    *viewedFault // why Fields and Text are not there
}

// mailbox is an address with the search for it.
type mailbox struct {
	Name, Address, Query string
}

// mailboxes are the addresses of one field.
type mailboxes struct {
	Label       string
	Shown, Rest []mailbox
	More        int // that are not shown at all
}

// part is one part with what it is downloaded and searched by.
type part struct {
	index.Part
	Bytes, Link, Query string
}

func messageOf(m *index.Message) messageView {
	v := messageView{Title: m.Header.Subject.Text, M: m, Checks: checksOf(m.Verdicts)}
	v.From = boxes("from", m.Header.From)
	for _, list := range []struct {
		label, word string
		from        []index.Address
	}{{"To", "to", m.Header.To}, {"Cc", "to", m.Header.Cc}, {"Reply-To", "from", m.Header.ReplyTo}} {
		if len(list.from) > 0 {
			v.Lists = append(v.Lists, listOf(list.label, boxes(list.word, list.from)))
		}
	}
	var to []mailbox
	for _, a := range m.RcptTo {
		to = append(to, mailbox{Address: a, Query: search("to", a)})
	}
	v.RcptTo = listOf("Recipients", to)
	if m.MailFrom != "" {
		v.Sender = search("from", m.MailFrom)
	}
	if m.Client.Address.IsValid() {
		v.Client = m.Client.Address.String()
	}
	if v.TLS = m.Client.TLSVersion; m.Client.TLSCipher != "" {
		v.TLS += ", " + m.Client.TLSCipher
	}
	v.Place = fmt.Sprintf("%s, bytes %d to %d", place(m.Blob), m.Blob.Offset, m.Blob.Offset+m.Blob.Length-1)
	if d := m.Verdicts; d != nil {
		v.Skipped, v.Forged, v.LongHead = notVerified(d.Skipped), d.Forged, d.HeaderTooLong
	}
	if m.Header.MessageID != "" {
		v.Related = search("message-id", m.Header.MessageID)
	}
	for i := range m.Parts[:min(len(m.Parts), maxShownParts)] {
		p := &m.Parts[i]
		v.Parts = append(v.Parts, part{Part: *p, Bytes: size(p.Size), Query: search("attachment", p.SHA256),
			Link: "/messages/" + m.ID.String() + "/parts/" + url.PathEscape(p.Number)})
	}
	v.MoreParts = len(m.Parts) - len(v.Parts)
	for _, d := range m.Defects {
		v.Defects = append(v.Defects, defect(d))
	}
	return v
}

func boxes(word string, from []index.Address) []mailbox {
	var list []mailbox
	for _, a := range from {
		list = append(list, mailbox{Name: a.Name.Text, Address: a.Address, Query: search(word, a.Address)})
	}
	return list
}

func listOf(label string, all []mailbox) mailboxes {
	shown := all[:min(len(all), maxShownAddresses)]
	first := shown[:min(len(shown), unfolded)]
	return mailboxes{Label: label, Shown: first, Rest: shown[len(first):], More: len(all) - len(shown)}
}

func place(b index.Blob) string {
	if b.Bucket != "" {
		return b.Store + " " + b.Bucket + "/" + b.Key
	}
	return b.Store + " " + b.Key
}

// search returns the address of a search for one word.
func search(word, value string) string {
	return "/?" + word + "=" + url.QueryEscape(value)
}

// notVerified returns why there are no verdicts.
func notVerified(skipped string) string {
	switch skipped {
	case pipeline.SkippedTrusted:
		return "Not verified: the client is in trusted_networks."
	case pipeline.SkippedAuthenticated:
		return "Not verified: the client has proven who it is."
	case "":
		return ""
	}
	return "Not verified: " + skipped + "."
}

// size returns a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return strconv.FormatInt(n, 10) + " B"
	case n < 1<<20:
		return strconv.FormatFloat(float64(n)/(1<<10), 'f', 1, 64) + " KiB"
	}
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
}

// date returns a time for people.
func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// defects are what the kinds of defects mean.
var defects = map[string]string{
	index.DefectHeader:       "The header is malformed or too long; the rest was kept.",
	index.DefectAddress:      "An address field cannot be parsed in full.",
	index.DefectDate:         "The Date is none.",
	index.DefectContentType:  "A Content-Type cannot be parsed.",
	index.DefectDisposition:  "A Content-Disposition cannot be parsed.",
	index.DefectEncoding:     "A transfer encoding is unknown or broken.",
	index.DefectCharset:      "A charset is unknown or does not fit the text.",
	index.DefectBoundary:     "A multipart has no boundary, or no end.",
	index.DefectDepth:        "Parts are nested too deeply; what is below was not read.",
	index.DefectParts:        "There are too many parts; the rest was not read.",
	index.DefectCut:          "A text was cut to its bound.",
	index.DefectTermsLeftOut: "It has more words than are kept, so not every word finds it.",
}

func defect(d index.Defect) string {
	text, ok := defects[d.Kind]
	if !ok {
		text = d.Kind
	}
	if d.Part != "" {
		text = "Part " + d.Part + ": " + text
	}
	return text
}

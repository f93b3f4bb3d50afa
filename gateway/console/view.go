package console

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"sluice/index"
)

// What a row shows.
const (
	rowText       = 200 // characters of a subject or a name
	rowRecipients = 2
)

// faultView is what an error page shows.
type faultView struct {
	Title string
	Fault *viewedFault
}

// viewedFault is an error that a page shows.
type viewedFault struct {
	Text, Hint, Here string
}

func viewFault(f *fault) *viewedFault {
	return &viewedFault{Text: f.text, Hint: f.hint, Here: f.here}
}

// listView is what the page with the search shows.
type listView struct {
	Title         string
	Form          form
	Rows          []row
	Older, Newest string
	Fault         *viewedFault
}

// form is the search.
type form struct {
	First, More []field
	Open        bool // one of More is used
	Used        bool // one of all is used
	Limit       string
}

// field is one word of the search, empty or not.
type field struct {
	ID, Name, Label, Help, Example, Value string
}

// labels are how the form shows the words of a search: those that stand in front first.
var labels = []field{
	{Name: "from", Label: "From", Example: "anna@example.com"},
	{Name: "to", Label: "To", Example: "@example.com"},
	{Name: "subject", Label: "Subject", Example: "invoice may"},
	{Name: "text", Label: "Text", Example: "words of the body"},
	{Name: "attachment", Label: "Attachment", Example: "report.pdf"},
	{Name: "verdict", Label: "Verdict", Example: "dmarc=fail"},
	{Name: "client", Label: "Client", Example: "192.0.2.0/24"},
	{Name: "helo", Label: "HELO", Example: "mx.example.com"},
	{Name: "message-id", Label: "Message-ID", Example: "<id@example.com>"},
	{Name: "since", Label: "Since", Example: "24h, 7d, 2026-01-31"},
	{Name: "until", Label: "Until", Example: "2026-01-31 18:00"},
}

// inFront is the number of labels that are always to be seen.
const inFront = 4

// formOf returns the form with the words of a search. A word that is given several times
// has as many fields.
func formOf(values url.Values) form {
	f := form{Limit: values.Get("limit")}
	for i, l := range labels {
		for _, p := range index.Parameters {
			if p.Name == l.Name {
				l.Help = p.Help
			}
		}
		given := values[l.Name]
		for n := range max(1, len(given)) {
			l.ID, l.Value = fmt.Sprintf("%s-%d", l.Name, n), ""
			if n < len(given) {
				l.Value = given[n]
			}
			used := strings.TrimSpace(l.Value) != ""
			f.Used = f.Used || used
			if i < inFront {
				f.First = append(f.First, l)
				continue
			}
			f.Open = f.Open || used
			f.More = append(f.More, l)
		}
	}
	return f
}

// Help returns all words of the search, for the page that explains them.
func (f form) Help() []field {
	return append(append([]field(nil), f.First...), f.More...)
}

// row is one message of the list.
type row struct {
	ID            string
	At            time.Time
	Name, Address string // of the sender
	To            []string
	MoreTo        int
	Subject       string
	File          string
	MoreFiles     int
	Badges        []badge
}

func rowOf(m *index.Message) row {
	r := row{ID: m.ID.String(), At: m.ReceivedAt, Address: m.MailFrom, Subject: cut(m.Header.Subject.Text, rowText), Badges: badgesOf(m.Verdicts)}
	if from := m.Header.From; len(from) > 0 {
		r.Name, r.Address = cut(from[0].Name.Text, rowText), from[0].Address
	}
	r.Address = cut(r.Address, rowText)
	to := m.RcptTo
	for _, a := range to[:min(len(to), rowRecipients)] {
		r.To = append(r.To, cut(a, rowText))
	}
	r.MoreTo = len(to) - len(r.To)
	for i := range m.Parts {
		if name := m.Parts[i].Name.Text; name != "" || m.Parts[i].Disposition == "attachment" {
			if r.File == "" {
				r.File = cut(fileOf(&m.Parts[i]), rowText)
				continue
			}
			r.MoreFiles++
		}
	}
	return r
}

// fileOf returns what a part is called.
func fileOf(p *index.Part) string {
	if p.Name.Text != "" {
		return p.Name.Text
	}
	return p.Type
}

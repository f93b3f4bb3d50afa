package corpus

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// envelope draws sender and recipients.
func (w *writer) envelope() {
	n := w.truth.Number
	switch {
	case n%29 == 3:
		w.truth.MailFrom = ""
	case w.chance(3):
		w.truth.MailFrom = one(w, []string{"bounces+list=17@lists.example.com", "Anna.Mueller+x@Example.COM", "no-reply@shop.example"})
	default:
		w.truth.MailFrom = fmt.Sprintf("n%dn@sender-%d.example.org", n, n%37)
	}
	recipients := 1 + w.random.IntN(3)
	if w.chance(60) {
		recipients = 40 + w.random.IntN(50)
	}
	for i := range recipients {
		w.truth.RcptTo = append(w.truth.RcptTo, fmt.Sprintf("%s.%d.%d@dept-%d.example.net", one(w, []string{"user", "Info", "team"}), n, i, n%11))
	}
}

// fields collects header fields.
type fields struct{ bytes.Buffer }

func (f *fields) add(name, value string) { f.WriteString(name + ": " + value + "\r\n") }

// header draws the fields that are not about MIME.
func (w *writer) header() []byte {
	var f fields
	n, h := w.truth.Number, &w.truth.Header
	if w.chance(3) {
		f.add("Received", "from a.example (a.example [192.0.2.1])\r\n\tby b.example with ESMTP id 4711;\r\n\tMon, 23 Nov 2026 11:00:00 +0000")
	}
	if n%97 != 31 {
		f.add(w.cased("From"), w.mailboxes(&h.From, 1+int(n/50%40/39), w.truth.MailFrom))
	}
	w.to(&f)
	if w.chance(5) {
		f.add("Reply-To", w.mailboxes(&h.ReplyTo, 1, ""))
	}
	w.subject(&f)
	if date := w.date(); date != "" {
		f.add("Date", date)
	}
	if w.corpus.hasMessageID(n) {
		h.MessageID = w.corpus.messageID(n)
		space := ""
		if w.chance(6) {
			space = "\r\n "
		}
		f.add(one(w, []string{"Message-ID", "Message-Id"}), space+"<"+h.MessageID+">")
	}
	w.references(&f)
	if w.chance(4) {
		f.add("X-Long", strings.Repeat("x", 900)+"\r\n\t"+strings.Repeat("y", 500))
	}
	return f.Bytes()
}

// cased returns the name of a field, which has no case.
func (w *writer) cased(name string) string {
	switch w.random.IntN(12) {
	case 0:
		return strings.ToUpper(name)
	case 1:
		return strings.ToLower(name)
	}
	return name
}

// to writes To and Cc.
func (w *writer) to(f *fields) {
	h := &w.truth.Header
	first := w.truth.RcptTo[0]
	switch w.random.IntN(14) {
	case 0:
		f.add("To", "undisclosed-recipients:;")
	case 1:
		value := w.mailboxes(&h.To, 2, first)
		f.add("To", "Team"+one(w, []string{"", " of All"})+": "+value+";")
	case 2:
		value := w.mailboxes(&h.To, 1, first)
		f.add("To", value+",\r\n Group: "+w.mailboxes(&h.To, 2, "")+"; , "+w.mailboxes(&h.To, 1, ""))
		w.truth.Odd = true // an empty element of the list (RFC 5322 §4.4)
	case 3: // none
	case 4:
		f.add("To", w.mailboxes(&h.To, 20+w.random.IntN(40), first))
	default:
		f.add("To", w.mailboxes(&h.To, 1+w.random.IntN(3), first))
	}
	if w.chance(3) {
		f.add(w.cased("Cc"), w.mailboxes(&h.Cc, 1+w.random.IntN(3), ""))
	}
}

// mailboxes writes some mailboxes, the first of them with the given address unless it is
// empty, and appends them to known.
func (w *writer) mailboxes(known *[]Mailbox, n int, first string) string {
	var written []string
	for i := range n {
		address := first
		if i > 0 || first == "" {
			address = fmt.Sprintf("%s%d.%d@%s", one(w, []string{"p", "Sales", "dev-"}), w.truth.Number, w.random.IntN(1000),
				one(w, []string{"example.com", "Mail.Example.org", "sub.dept.example.net", "xn--mller-kva.example"}))
		}
		text, name := w.mailbox(address)
		written = append(written, text)
		*known = append(*known, Mailbox{Text{name}, address})
	}
	return strings.Join(written, one(w, []string{", ", ",\r\n "}))
}

// mailbox writes an address, mostly with a name.
func (w *writer) mailbox(address string) (written, name string) {
	name = one(w, w.tongue.people)
	if w.chance(4) {
		name = one(w, tongues[0].people)
	}
	if first, last, _ := strings.Cut(name, " "); w.chance(4) {
		name = last + ", " + first
	}
	switch form := w.random.IntN(12); {
	case form == 0:
		return address, ""
	case form == 1:
		return "<" + address + ">", ""
	case isASCII(name) && strings.ContainsAny(name, ","):
		return quoted(name) + " <" + address + ">", name
	case isASCII(name) && form == 2:
		return quoted(name) + "\r\n <" + address + ">", name
	case isASCII(name):
		return name + " <" + address + ">", name
	case form == 2: // as it is
		w.truth.Odd = true
		return quoted(name) + " <" + address + ">", name
	case form == 3: // forbidden by RFC 2047 §5 and often seen
		w.truth.Odd = true
		return `"` + w.encodedWords(name, w.charset(), " ") + `" <` + address + ">", name
	default:
		return w.encodedWords(name, w.charset(), "\r\n ") + " <" + address + ">", name
	}
}

// longestText is how long a text may be, as it came, to be kept whole.
const longestText = 4 << 10

func (w *writer) subject(f *fields) {
	n := w.truth.Number
	if n%53 == 9 {
		return
	}
	words := 1 + w.random.IntN(5)
	if w.chance(50) {
		words = 60
	}
	text := one(w, []string{"", "", "Re: ", "AW: ", "[list-7] "}) + w.words(words) + fmt.Sprintf(" s%ds", n)
	w.truth.Header.Subject.Text = text
	written := w.unstructured(text)
	if len(written) > longestText {
		w.truth.Odd = true // cut, which is a defect
	}
	f.add(w.cased("Subject"), written)
}

// date returns the value of Date, or "".
func (w *writer) date() string {
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(w.truth.Number) * 61 * time.Second)
	date := &w.truth.Header.Date
	*date = at
	east := at.In(time.FixedZone("", 5*3600+1800))
	switch w.random.IntN(14) {
	case 0:
		*date = time.Time{}
		return ""
	case 1:
		*date = time.Time{}
		w.truth.Broken = append(w.truth.Broken, "date")
		return one(w, []string{"yesterday", "Mon, 99 Nov 2026 12:00:00 +0000", "Mon, 23 Nov 12026 12:00:00 +0000"})
	case 2:
		return east.Format("2 Jan 2006 15:04:05 -0700")
	case 3:
		*date = at.Truncate(time.Minute)
		return east.Format("Mon, 2 Jan 2006 15:04 -0700")
	case 4:
		return east.Format("Mon, 02 Jan 2006 15:04:05 -0700") + " (India (Standard) Time)"
	case 5:
		return at.Format("Mon, 2 Jan 2006 15:04:05 ") + one(w, []string{"GMT", "UT"})
	case 6:
		return at.Add(-5*time.Hour).Format("Mon, 2 Jan 2006 15:04:05") + " EST" // RFC 5322 §4.3
	case 7:
		return at.Format("Mon, 2 Jan 06 15:04:05 -0000")
	case 8:
		return east.Format("Mon,  2 Jan 2006 15:04:05\r\n\t-0700")
	default:
		return east.Format(time.RFC1123Z)
	}
}

// references writes References and In-Reply-To of mails that are in a thread.
func (w *writer) references(f *fields) {
	var known []string
	for at := w.truth.Number % 5; at < w.truth.Number; at += 5 {
		if w.corpus.hasMessageID(at) {
			known = append(known, w.corpus.messageID(at))
		}
	}
	if len(known) == 0 || w.truth.Number%3 == 0 {
		return
	}
	known = known[max(0, len(known)-1-w.random.IntN(60)):]
	last := known[len(known)-1]
	if w.chance(5) {
		w.truth.Header.References = []string{last}
		f.add("In-Reply-To", "<"+last+">")
		return
	}
	w.truth.Header.References = known
	f.add("References", "<"+strings.Join(known, ">"+one(w, []string{" ", "\r\n "})+"<")+">")
	if w.chance(2) {
		f.add("In-Reply-To", "<"+last+">")
	}
}

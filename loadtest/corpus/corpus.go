// Package corpus makes mails of every form that an index has to read, with what is true
// of each. A mail follows from a seed and its number.
package corpus

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"
)

// Corpus is the mails of a seed, by their numbers from 0 on.
type Corpus struct {
	Seed uint64
	// Large is how often, in mails, one has an attachment of 30 MiB; 0 for never. Ten times
	// as many have one of a few MiB.
	Large int64
}

// Mail is a mail as it is sent, and what is true of it.
type Mail struct {
	Content []byte // lines end in CRLF, dots are not stuffed
	Truth   *Truth
}

// Truth is what is known of a mail, by the names that it has in what Sluice shows.
type Truth struct {
	Number int64  `json:"-"`
	Form   string `json:"-"` // what is special about it

	MailFrom string   `json:"mail_from"`
	RcptTo   []string `json:"rcpt_to"`
	Size     int64    `json:"size"`
	SHA256   string   `json:"sha256"`
	Header   Header   `json:"header"`
	Parts    []Part   `json:"parts"`

	// Text has the words of the text parts that can be found.
	Text string `json:"-"`
	// Broken are the kinds of the defects that must be recorded.
	Broken []string `json:"-"`
	// Odd says that defects may be recorded though none has to be, and that Python's email
	// package need not agree.
	Odd bool `json:"-"`
}

// Header is what a header says.
type Header struct {
	MessageID  string    `json:"message_id"`
	References []string  `json:"references"`
	From       []Mailbox `json:"from"`
	To         []Mailbox `json:"to"`
	Cc         []Mailbox `json:"cc"`
	ReplyTo    []Mailbox `json:"reply_to"`
	Subject    Text      `json:"subject"`
	Date       time.Time `json:"date,omitzero"`
}

// Mailbox is an address with a name.
type Mailbox struct {
	Name    Text   `json:"name"`
	Address string `json:"address"`
}

// Text is a decoded text.
type Text struct {
	Text string `json:"text"`
}

// Part is a part that holds something itself, or a message in it.
type Part struct {
	Number      string `json:"number"`
	Type        string `json:"type"`
	Charset     string `json:"charset"`
	Disposition string `json:"disposition"`
	Name        Text   `json:"name"`
	Size        int64  `json:"size"`
	SHA256      string `json:"sha256"`

	// Vague says that a reader may see the name in another way, as nothing says what charset
	// it is in. Its words of ASCII can be found in any case.
	// Size and hash are unknown where SHA256 is empty.
	Vague bool `json:"-"`
}

// writer writes one mail.
type writer struct {
	corpus *Corpus
	random *rand.Rand
	truth  *Truth
	tongue *tongue // its language
	bounds int     // boundaries so far
}

// Mail returns the mail of a number.
func (c Corpus) Mail(number int64) *Mail {
	w := &writer{
		corpus: &c, random: rand.New(rand.NewPCG(c.Seed, uint64(number))),
		truth: &Truth{Number: number},
	}
	w.tongue = &tongues[w.random.IntN(len(tongues))]
	form := w.form(number)
	w.truth.Form = form.name
	w.envelope()
	header := w.header()
	body := form.write(w)
	content := append(header, body.render(true)...)
	if form.change != nil {
		content = form.change(w, content)
	}
	w.truth.Parts = body.parts("", w.truth.Parts)
	if w.truth.Parts == nil {
		w.truth.Parts = []Part{}
	}
	sum := sha256.Sum256(content)
	w.truth.Size, w.truth.SHA256 = int64(len(content)), hex.EncodeToString(sum[:])
	return &Mail{Content: content, Truth: w.truth}
}

// form returns the form of a mail: of large ones by the number, otherwise drawn.
func (w *writer) form(number int64) *form {
	if every := w.corpus.Large; every > 0 {
		switch {
		case number%every == every/2:
			return &hugeForm
		case number%max(every/10, 1) == 0:
			return &largeForm
		}
	}
	// The first mails have each form once, so that few mails have all.
	if number < int64(len(forms)) {
		return &forms[number]
	}
	total := 0
	for i := range forms {
		total += forms[i].weight
	}
	at := w.random.IntN(total)
	for i := range forms {
		if at -= forms[i].weight; at < 0 {
			return &forms[i]
		}
	}
	return &forms[0]
}

// messageID returns the Message-ID of a mail, without brackets.
func (c *Corpus) messageID(number int64) string {
	switch number % 7 {
	case 0:
		return fmt.Sprintf("%d.%x.CAF+abc=%d@mail.gmail.example", number, c.Seed, number)
	case 1:
		return fmt.Sprintf("DB9PR08MB%d$%x@[IPv6:2001:db8::%x]", number, c.Seed, number%0xffff)
	default:
		return fmt.Sprintf("%d-%x@id.example.org", number, c.Seed)
	}
}

// hasMessageID reports whether the mail of a number has a Message-ID.
func (c *Corpus) hasMessageID(number int64) bool { return number%41 != 17 }

// one returns one of some.
func one[T any](w *writer, of []T) T { return of[w.random.IntN(len(of))] }

// chance reports true once in n times.
func (w *writer) chance(n int) bool { return w.random.IntN(n) == 0 }

package sim

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"reflect"
	"strings"

	"sluice/pipeline"
)

// letter is a message that a sender has to deliver.
type letter struct {
	n     int
	body  string
	tries int
	// The envelope: each letter has its own, and each try its own recipients.
	from     string
	to       []string
	declared int64 // SIZE= of MAIL, none when 0
	// odd says that its text has a bare CR, a bare LF or a NUL: it must be refused.
	odd bool
	// forged is how many fields of its header claim to be ours.
	forged int
}

// delivery is a letter that was answered 250, with the connection that it went by.
type delivery struct {
	id     string
	sender *sender
	client netip.AddrPort
	host   string // the gateway's name in the session
	letter *letter
	event  string // its event, once that was compared
	proof  proof
}

// letterText draws a mail text: most are short, and some are larger than a part.
func (w *world) letterText(sender, n int) string {
	size := w.random.IntN(600)
	switch {
	case w.chance(100):
		size = w.random.IntN(messageLimit - 1200)
	case w.chance(100):
		size = partSize + w.random.IntN(40)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Message-ID: %s\r\n\r\n", messageID(sender, n))
	for line := 0; b.Len() < size; line++ {
		switch w.random.IntN(12) {
		case 0:
			b.WriteString(".\r\n")
		case 1:
			b.WriteString("..dots\r\n")
		default:
			fmt.Fprintf(&b, "%d %s\r\n", line, filler[:w.random.IntN(len(filler))])
		}
	}
	return b.String()
}

func messageID(sender, n int) string { return fmt.Sprintf("<%d.%d@example.com>", sender, n) }

// spoil puts an end of data that is none into a text, with commands behind it.
func (w *world) spoil(body string) string {
	ends := [...]string{"\n.\n", "\n.\r\n", "\r.\r\n", "\r\n.\n", "\r\n\x00.\r\n", "\r\n.\r\r\n", "x\r", "\x00"}
	at := w.random.IntN(len(body))
	if body[at] == '\n' { // not between CR and LF
		at++
	}
	return body[:at] + "x" + ends[w.random.IntN(len(ends))] +
		"MAIL FROM:<smuggled@example.com>\r\nRCPT TO:<b@example.net>\r\n" + body[at:]
}

var filler = strings.Repeat("abcdefghij", 90)

// stuffed is what goes over the wire (RFC 5321 §4.5.2).
func stuffed(body string) string {
	if strings.HasPrefix(body, ".") {
		body = "." + body
	}
	return strings.ReplaceAll(body, "\r\n.", "\r\n..") + ".\r\n"
}

// compare returns an error unless an event says what its client was and sent.
func (d *delivery) compare(value string) error {
	if d.event == value {
		return nil // as when it was delivered
	}
	d.event = value
	e, err := pipeline.ParseEvent([]byte(value))
	if err != nil {
		return fmt.Errorf("the event of %s: %w", d.id, err)
	}
	l := d.letter
	client := pipeline.Client{Address: d.client, Helo: d.sender.helo(), Protocol: "ESMTP"}
	envelope := pipeline.EventEnvelope{MailFrom: l.from, RcptTo: l.to, Body: "7BIT", SizeDeclared: l.declared}
	if p := e.Client.Proxy; d.sender.w.plan.front && p != nil && p.Address == balancer {
		client.Proxy = p
	}
	if d.sender.w.plan.secure {
		client.Protocol, client.TLS = "ESMTPS", toyTLS()
	}
	if d.sender.w.plan.auth {
		d.proof.describe(&client)
	}
	if e.Gateway != d.host || !reflect.DeepEqual(e.Client, client) || !reflect.DeepEqual(e.Envelope, envelope) {
		return fmt.Errorf("the event of %s has another origin: %s %+v %+v, not %+v %+v", d.id, e.Gateway, e.Client, e.Envelope, client, envelope)
	}
	message := pipeline.EventMessage{
		Size: int64(len(l.body)), SHA256: sha256.Sum256([]byte(l.stored(d.verified()))), MessageID: messageID(d.sender.n, l.n),
	}
	for line := range strings.SplitSeq(l.body, "\r\n") {
		message.Report.LongestLine = max(message.Report.LongestLine, len(line))
	}
	if e.Message != message {
		return fmt.Errorf("the event of %s is of another text: %+v, not %+v", d.id, e.Message, message)
	}
	return nil
}

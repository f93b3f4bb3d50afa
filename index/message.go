// Package index has what is known of stored mail so that it can be found: the rows, the
// terms by which they are found, and the port of the databases that keep them.
package index

import (
	"encoding/json"
	"net/netip"
	"time"

	"sluice/pipeline"
)

// Message is the row of one message. All texts are valid UTF-8 without NUL and within the
// bounds of Clean. Its JSON is the output of find and show, and what the API answers.
type Message struct {
	ID         pipeline.ID `json:"id"`
	ReceivedAt time.Time   `json:"received_at"` // UTC, in milliseconds
	Gateway    string      `json:"gateway"`
	Client     Client      `json:"client"`
	MailFrom   string      `json:"mail_from"` // without brackets, empty for the null reverse path
	RcptTo     []string    `json:"rcpt_to"`
	Size       int64       `json:"size"`   // in bytes, as received
	SHA256     string      `json:"sha256"` // in hexadecimal, as received
	Blob       Blob        `json:"blob"`

	Header  Header   `json:"header"`
	Parts   []Part   `json:"parts"`   // in the order of the message
	Defects []Defect `json:"defects"` // what is wrong with its MIME structure

	// Verdicts is nil where verification is off.
	Verdicts *pipeline.Verdicts `json:"verdicts,omitempty"`

	// Terms are the terms by which the message is found, sorted and each once. Databases
	// need not return them.
	Terms []string `json:"-"`
}

// MarshalJSON implements json.Marshaler: a list without elements is an empty one.
func (m *Message) MarshalJSON() ([]byte, error) {
	type row Message // without this method
	r := row(*m)
	filled(&r.RcptTo)
	filled(&r.Parts)
	filled(&r.Defects)
	filled(&r.Header.References)
	filled(&r.Header.From)
	filled(&r.Header.To)
	filled(&r.Header.Cc)
	filled(&r.Header.ReplyTo)
	return json.Marshal(&r)
}

func filled[T any](list *[]T) {
	if *list == nil {
		*list = []T{}
	}
}

// Client is where a message came from.
type Client struct {
	Address    netip.Addr `json:"address"` // invalid if it is not kept
	Port       uint16     `json:"port"`
	Name       string     `json:"name"` // that its address confirms or a proxy gave, or empty
	Helo       string     `json:"helo"`
	Protocol   string     `json:"protocol"`    // of RFC 3848
	TLSVersion string     `json:"tls_version"` // empty for plain text
	TLSCipher  string     `json:"tls_cipher"`
	Role       string     `json:"role"`     // mx or submission
	Identity   string     `json:"identity"` // who the client has proven to be, or empty
}

// Blob is where a message is stored: Length bytes at Offset of the object Key. Sluice wrote
// the first Added of them.
type Blob struct {
	Store  string `json:"store"`
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
	Added  int64  `json:"added"`
}

// Header is what the header of a message says about it.
type Header struct {
	MessageID  string    `json:"message_id"` // without brackets
	References []string  `json:"references"` // of References and In-Reply-To, without brackets
	From       []Address `json:"from"`
	To         []Address `json:"to"`
	Cc         []Address `json:"cc"`
	ReplyTo    []Address `json:"reply_to"`
	Subject    Text      `json:"subject"`
	Date       time.Time `json:"date,omitzero"` // UTC; zero without a valid Date
}

// Address is a mailbox of a header field (RFC 5322 §3.4).
type Address struct {
	Name    Text   `json:"name"`
	Address string `json:"address"` // without brackets
}

// Text is a text that a header field may encode.
type Text struct {
	Text string `json:"text"`          // decoded
	Raw  string `json:"raw,omitempty"` // as it came, unfolded; empty if it is equal
}

// Part is one part of a message that holds something itself, a leaf of its MIME tree, or
// a message in it.
type Part struct {
	// Number is where the part stands, as IMAP counts (RFC 9051 §6.4.5.1): 1, 2.1.
	Number      string `json:"number"`
	Type        string `json:"type"`        // of Content-Type, lower case, such as text/plain
	Charset     string `json:"charset"`     // as it came, lower case, or empty
	Disposition string `json:"disposition"` // inline, attachment, or empty
	Name        Text   `json:"name"`        // of the file, or empty
	Size        int64  `json:"size"`        // in bytes, decoded
	SHA256      string `json:"sha256"`      // in hexadecimal, of what is decoded
}

// Defect is something wrong in a message that did not keep it from being indexed.
type Defect struct {
	Kind string `json:"kind"` // one of the Defect constants
	Part string `json:"part"` // the number of the part, empty for the message itself
}

package audit

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/codec"
	"sluice/pipeline"
)

// determined are the fields of an event that its client determines, beside the size and
// the digest of the message. What is left are the id, the time, and where it is stored.
var determined = []struct {
	name string
	of   func(*pipeline.Event) any
}{
	{"gateway", func(e *pipeline.Event) any { return e.Gateway }},
	{"client.address", func(e *pipeline.Event) any { return e.Client.Address }},
	{"client.helo", func(e *pipeline.Event) any { return e.Client.Helo }},
	{"client.tls", func(e *pipeline.Event) any { return e.Client.TLS }},
	{"client.auth", func(e *pipeline.Event) any { return e.Client.Auth }},
	{"client.role", func(e *pipeline.Event) any { return e.Client.Role }},
	{"client.protocol", func(e *pipeline.Event) any { return e.Client.Protocol }},
	{"envelope.mail_from", func(e *pipeline.Event) any { return e.Envelope.MailFrom }},
	{"envelope.rcpt_to", func(e *pipeline.Event) any { return e.Envelope.RcptTo }},
	{"envelope.body", func(e *pipeline.Event) any { return e.Envelope.Body }},
	{"envelope.smtputf8", func(e *pipeline.Event) any { return e.Envelope.SMTPUTF8 }},
	{"envelope.require_tls", func(e *pipeline.Event) any { return e.Envelope.RequireTLS }},
	{"envelope.size_declared", func(e *pipeline.Event) any { return e.Envelope.SizeDeclared }},
	{"message.message_id", func(e *pipeline.Event) any { return e.Message.MessageID }},
	{"message", func(e *pipeline.Event) any { return e.Message.Report }},
}

// clockStep is how far a clock may be put forward or back while a message is received.
const clockStep = time.Second

// compare compares the fields that the client determines, and the time.
func (ack *Acknowledged) compare(e *pipeline.Event) error {
	if ack.Event != nil {
		for _, field := range determined {
			got, want := field.of(e), field.of(ack.Event)
			if !reflect.DeepEqual(got, want) {
				return altered("event says %s %+v, sent was %+v", field.name, got, want)
			}
		}
	}
	if ack.Answered.IsZero() {
		return nil
	}
	for _, at := range []time.Time{e.ID.Time(), e.ReceivedAt} {
		if at.Before(ack.Begun.Add(-clockStep)) || at.After(ack.Answered.Add(clockStep)) {
			return altered("event says %s, sent was from %s to %s", at, ack.Begun, ack.Answered)
		}
	}
	return nil
}

// bodyTypes are the values of BODY= in events.
var bodyTypes = map[string]codec.BodyType{
	codec.Body7Bit.String(): codec.Body7Bit, codec.Body8BitMIME.String(): codec.Body8BitMIME,
}

// messageOf returns a message that has this event.
func messageOf(e *pipeline.Event) *pipeline.Message {
	m := &pipeline.Message{
		ID: e.ID, Gateway: e.Gateway, Client: e.Client, ReceivedAt: e.ReceivedAt, Report: e.Message.Report,
	}
	m.Envelope.SetReversePath([]byte(e.Envelope.MailFrom))
	for _, to := range e.Envelope.RcptTo {
		m.Envelope.AddRecipient([]byte(to))
	}
	m.Envelope.Body, m.Envelope.SizeDeclared = bodyTypes[e.Envelope.Body], e.Envelope.SizeDeclared
	m.Envelope.RequireTLS = e.Envelope.RequireTLS
	m.Summary.MessageID = []byte(e.Message.MessageID)
	if v := e.Verdicts; v != nil && v.Skipped == "" {
		m.Verification = &pipeline.Verification{}
		m.Judge(pipeline.Verdict{Name: v.IPRev.Name}) // it stands in the trace field
	}
	m.Verdicts = e.Verdicts
	return m
}

// checkRecord compares a record with what Sluice writes for an event with its fields. A
// value that differs has something that was never written so, such as another field.
func (e *logged) checkRecord() error {
	m := messageOf(e.Event)
	if text := pipeline.AppendEventOf(nil, m, &e.Blob, &e.Message.SHA256); !bytes.Equal(text, e.value) {
		return altered("event is not what Sluice writes: %s", difference(e.value, text))
	}
	if want := pipeline.AppendEventHeaders(nil, m); !slices.EqualFunc(want, e.headers, sameHeader) {
		return altered("event has the headers %s, Sluice writes %s", e.headers, want)
	}
	return nil
}

func sameHeader(a, b pipeline.EventHeader) bool {
	return a.Key == b.Key && bytes.Equal(a.Value, b.Value)
}

// checkTrace compares what was added on top of a body, of which begin is the beginning,
// with what Sluice adds to a message of this event.
func checkTrace(e *pipeline.Event, added, begin []byte) error {
	m := messageOf(e)
	// An event has U+FFFD for what is not UTF-8; then the trace field does not follow.
	if to := strings.Join(e.Envelope.RcptTo, ""); strings.ContainsRune(e.Client.Helo+to, utf8.RuneError) {
		return nil
	}
	want := append(pipeline.AppendTrace(nil, m), pipeline.SeparatorOf(begin)...)
	if m.Verification != nil {
		field, below := cutField(added)
		for _, part := range []string{"Authentication-Results: ", "spf=" + m.Verdicts.SPF.Result, "dmarc=" + m.Verdicts.DMARC.Result} {
			if !bytes.Contains(field, []byte(part)) {
				return altered("object begins with %q, the event says %s", field, part)
			}
		}
		added = below
	}
	if !bytes.Equal(added, want) {
		return altered("object begins with %q, Sluice adds %q", added, want)
	}
	return nil
}

// cutField cuts a header behind its first field.
func cutField(header []byte) (field, below []byte) {
	for at := 0; ; {
		end := bytes.Index(header[at:], []byte("\r\n"))
		if at += end + 2; end < 0 || at == len(header) {
			return header, nil
		}
		if header[at] != '\t' && header[at] != ' ' {
			return header[:at], header[at:]
		}
	}
}

// difference returns the part of value that begins where it differs from other.
func difference(value, other []byte) []byte {
	const before, shown = 20, 80
	at := 0
	for at < min(len(value), len(other)) && value[at] == other[at] {
		at++
	}
	return value[max(0, at-before):min(len(value), at+shown)]
}

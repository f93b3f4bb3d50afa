package pipeline

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/codec"
)

// Event is the value of a message's event, field by field as event.schema.json names
// them. ParseEvent reads what AppendEvent writes.
type Event struct {
	ID         ID
	ReceivedAt time.Time // UTC, in milliseconds
	Gateway    string
	Client     Client
	Envelope   EventEnvelope
	Message    EventMessage
	Blob       Blob
	Verdicts   *Verdicts // nil where verification is off
}

// EventEnvelope is the envelope of an event. Octets that were not UTF-8 are U+FFFD.
type EventEnvelope struct {
	MailFrom     string // without brackets, empty for the null reverse path
	RcptTo       []string
	Body         string // 7BIT, 8BITMIME or BINARYMIME
	SMTPUTF8     bool
	SizeDeclared int64 // 0 when MAIL had no SIZE
	RequireTLS   bool
}

// EventMessage describes the message below what Sluice added.
type EventMessage struct {
	Size      int64
	SHA256    Digest
	MessageID string // empty when there is none
	Report    codec.BodyReport
}

// ParseEvent reads an event's value. It accepts only values that event.schema.json
// allows, and ignores fields that it does not know: later versions may add some. Names
// are compared exactly, and none of an object that it knows may stand twice. The error
// names the field, what it must be and what it is.
func ParseEvent(value []byte) (*Event, error) {
	if !utf8.Valid(value) {
		return nil, errors.New("event: not UTF-8")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(value, &whole); err != nil {
		return nil, fmt.Errorf("event: not JSON: %w", err)
	}
	var p eventParser
	e := p.event(bytes.Trim(whole, jsonSpace))
	if p.err != nil {
		return nil, fmt.Errorf("event: %w", p.err)
	}
	return e, nil
}

// eventParser keeps the first error. After it, all methods return zero values.
type eventParser struct{ err error }

func (p *eventParser) event(value []byte) *Event {
	o := p.object("", value)
	e := &Event{
		ID:         o.id("id"),
		ReceivedAt: o.time("received_at"),
		Gateway:    o.text("gateway", 0),
		Client:     o.client("client"),
		Envelope:   o.envelope("envelope"),
		Message:    o.message("message"),
		Blob:       o.blob("blob"),
	}
	if o.has("verdicts") {
		e.Verdicts = o.verdicts("verdicts")
	}
	return e
}

func (o *eventObject) envelope(name string) EventEnvelope {
	e := o.object(name)
	return EventEnvelope{
		MailFrom:     e.text("mail_from", 0),
		RcptTo:       e.recipients("rcpt_to"),
		Body:         e.body("body"),
		SMTPUTF8:     e.bool("smtputf8"),
		SizeDeclared: e.integer("size_declared", math.MaxInt64),
		RequireTLS:   e.has("require_tls") && e.bool("require_tls"),
	}
}

func (o *eventObject) message(name string) EventMessage {
	m := o.object(name)
	return EventMessage{
		Size:      m.integer("size", math.MaxInt64),
		SHA256:    m.digest("sha256"),
		MessageID: m.text("message_id", 0),
		Report: codec.BodyReport{
			BareCR:      m.has("bare_cr") && m.bool("bare_cr"),
			BareLF:      m.has("bare_lf") && m.bool("bare_lf"),
			NUL:         m.has("nul") && m.bool("nul"),
			EightBit:    m.bool("eight_bit"),
			LongestLine: int(m.integer("longest_line", math.MaxInt)),
		},
	}
}

func (o *eventObject) blob(name string) Blob {
	b := o.object(name)
	return Blob{
		Store:     b.text("store", 1),
		Bucket:    b.text("bucket", 0),
		Key:       b.text("key", 0),
		Container: b.container("container"),
		Offset:    b.integer("offset", math.MaxInt64),
		Length:    b.integer("length", math.MaxInt64),
		Added:     b.integer("added", math.MaxInt64),
		CRC32C:    b.crc32c("crc32c"),
	}
}

// eventObject is a JSON object of an event.
type eventObject struct {
	*eventParser
	path    string // what the names of its members are prefixed with in errors
	members map[string][]byte
}

// object reads an object from valid JSON.
func (p *eventParser) object(path string, value []byte) *eventObject {
	o := &eventObject{eventParser: p, members: map[string][]byte{}}
	if path != "" {
		o.path = path + "."
	}
	if value[0] != '{' {
		p.wrong(path, "an object", value)
		return o
	}
	for rest := elements(value); len(rest) > 0; {
		var name, member []byte
		name, rest = nextValue(rest)
		member, rest = nextValue(rest)
		key := decodeString(name)
		if o.has(key) {
			p.fail(fmt.Errorf("%s%.40s is there twice", o.path, key))
		}
		o.members[key] = member
	}
	return o
}

// elements returns what stands between the brackets of an array or object.
func elements(value []byte) []byte { return bytes.TrimLeft(value[1:len(value)-1], jsonSpace) }

// jsonSpace may stand around values, jsonBetween also separates them.
const (
	jsonSpace   = " \t\r\n"
	jsonBetween = jsonSpace + ",:"
)

// nextValue cuts the first value off valid JSON, and what separates it from the next.
func nextValue(list []byte) (value, rest []byte) {
	depth, end := 0, 0
scan:
	for ; end < len(list); end++ {
		switch c := list[end]; c {
		case '"':
			for end++; list[end] != '"'; end++ {
				if list[end] == '\\' {
					end++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		default:
			if depth == 0 && strings.IndexByte(jsonBetween, c) >= 0 {
				break scan
			}
		}
	}
	return list[:end], bytes.TrimLeft(list[end:], jsonBetween)
}

// decodeString returns the text of a JSON string.
func decodeString(value []byte) (s string) {
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1])
	}
	_ = json.Unmarshal(value, &s) // it is valid JSON
	return s
}

func (p *eventParser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// wrong reports that the value at path is not what the schema wants there.
func (p *eventParser) wrong(path, want string, value []byte) {
	if path == "" {
		path = "value"
	}
	found := string(value)
	if len(value) > 60 {
		found = string(bytes.ToValidUTF8(value[:60], nil)) + "…"
	}
	p.fail(fmt.Errorf("%s must be %s, is %s", path, want, found))
}

func (o *eventObject) has(name string) bool { _, ok := o.members[name]; return ok }

func (o *eventObject) wrong(name, want string) {
	o.eventParser.wrong(o.path+name, want, o.members[name])
}

// member returns the JSON of a required member, nil after an error.
func (o *eventObject) member(name string) []byte {
	if o.err != nil {
		return nil
	}
	value, ok := o.members[name]
	if !ok {
		o.fail(fmt.Errorf("%s%s is missing", o.path, name))
	}
	return value
}

func (o *eventObject) object(name string) *eventObject {
	value := o.member(name)
	if o.err != nil {
		return &eventObject{eventParser: o.eventParser}
	}
	return o.eventParser.object(o.path+name, value)
}

// nullable requires a member that is null or an object, and does not read it.
func (o *eventObject) nullable(name string) {
	if value := o.member(name); o.err == nil && value[0] != 'n' && value[0] != '{' {
		o.wrong(name, "an object or null")
	}
}

// holds reports whether a required member is not null.
func (o *eventObject) holds(name string) bool {
	value := o.member(name)
	return o.err == nil && value[0] != 'n'
}

// hexadecimal returns a string of pairs of hexadecimal digits.
func (o *eventObject) hexadecimal(name string) string {
	return o.string(name, "pairs of hexadecimal digits", func(s string) bool {
		return len(s)%2 == 0 && strings.Trim(s, "0123456789abcdef") == ""
	})
}

// text returns a string of at least least bytes.
func (o *eventObject) text(name string, least int) string {
	want := "a string"
	if least > 0 {
		want = "a string that is not empty"
	}
	return o.string(name, want, func(s string) bool { return len(s) >= least })
}

// string returns a string for which ok is true; want says which ones these are.
func (o *eventObject) string(name, want string, ok func(string) bool) string {
	value := o.member(name)
	if o.err != nil {
		return ""
	}
	if value[0] == '"' {
		if s := decodeString(value); ok(s) {
			return s
		}
	}
	o.wrong(name, want)
	return ""
}

func (o *eventObject) bool(name string) bool {
	value := o.member(name)
	if o.err == nil && value[0] != 't' && value[0] != 'f' {
		o.wrong(name, "true or false")
	}
	return o.err == nil && value[0] == 't'
}

// integer returns a number from 0 to most, written without fraction and exponent.
func (o *eventObject) integer(name string, most int64) int64 {
	value := o.member(name)
	if o.err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || n < 0 || n > most {
		o.wrong(name, fmt.Sprint("an integer from 0 to ", most))
		return 0
	}
	return n
}

func (o *eventObject) id(name string) (id ID) {
	o.string(name, "a UUID of version 7", func(s string) bool {
		var err error
		id, err = ParseID(s)
		return err == nil && id.String() == s && id[6]>>4 == 7 && id[8]>>6 == 2
	})
	return id
}

func (o *eventObject) time(name string) (at time.Time) {
	const want = "a UTC time with milliseconds, such as 2026-01-31T23:59:59.999Z"
	o.string(name, want, func(s string) bool {
		var err error
		at, err = time.Parse(eventTime, s)
		return err == nil && at.Format(eventTime) == s // Parse takes a comma, too
	})
	return at
}

func (o *eventObject) address(name string) (a netip.Addr) {
	o.string(name, "an IP address", func(s string) bool {
		var err error
		a, err = netip.ParseAddr(s)
		return err == nil
	})
	return a
}

func (o *eventObject) recipients(name string) []string {
	value := o.member(name)
	if o.err != nil {
		return nil
	}
	if value[0] != '[' || len(elements(value)) == 0 {
		o.wrong(name, "an array of at least one recipient")
		return nil
	}
	var addresses []string
	for rest := elements(value); len(rest) > 0; {
		var recipient []byte
		recipient, rest = nextValue(rest)
		path := fmt.Sprintf("%s%s[%d]", o.path, name, len(addresses))
		addresses = append(addresses, o.eventParser.object(path, recipient).text("address", 1))
	}
	return addresses
}

func (o *eventObject) body(name string) string {
	return o.string(name, "7BIT, 8BITMIME or BINARYMIME", func(s string) bool {
		return s == "7BIT" || s == "8BITMIME" || s == "BINARYMIME"
	})
}

func (o *eventObject) digest(name string) (d Digest) {
	o.string(name, "a SHA-256 in lower-case hex", func(s string) bool {
		if len(s) != hex.EncodedLen(len(d)) {
			return false
		}
		_, err := hex.Decode(d[:], []byte(s))
		return err == nil && hex.EncodeToString(d[:]) == s
	})
	return d
}

func (o *eventObject) container(name string) string {
	if !o.has(name) {
		return ""
	}
	return o.string(name, ContainerTar, func(s string) bool { return s == ContainerTar })
}

func (o *eventObject) crc32c(name string) (sum uint32) {
	o.string(name, "the base64 of four bytes", func(s string) bool {
		raw, err := base64.StdEncoding.Strict().DecodeString(s)
		if err != nil || len(raw) != 4 || len(s) != base64.StdEncoding.EncodedLen(4) {
			return false
		}
		sum = binary.BigEndian.Uint32(raw)
		return true
	})
	return sum
}

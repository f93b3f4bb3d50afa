package pipeline

import (
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"
)

// The envelope event is a CloudEvents 1.0 event in Kafka's binary mode. Its JSON value is
// a contract with other teams, described by event.schema.json in this folder: fields may
// be added, never changed.
const (
	// EventType is the CloudEvents type.
	EventType = "sluice.mail.received.v1"
	// EventContentType is the media type of the value.
	EventContentType = "application/json"
)

// EventSchema is the JSON Schema (2020-12) of an event's value, for consumers.
//
//go:embed event.schema.json
var EventSchema []byte

// EventHeader is one header of the event's Kafka record.
type EventHeader struct {
	Key   string
	Value []byte
}

// AppendEventHeaders appends the CloudEvents attributes of a message's event to dst. They
// are named as the Kafka protocol binding has them in binary mode (CloudEvents 1.0 §3.2).
func AppendEventHeaders(dst []EventHeader, m *Message) []EventHeader {
	return append(dst,
		EventHeader{"ce_specversion", []byte("1.0")},
		EventHeader{"ce_type", []byte(EventType)},
		EventHeader{"ce_source", []byte("//" + m.Gateway + "/sluice")},
		EventHeader{"ce_id", m.ID.Append(nil)},
		EventHeader{"ce_time", appendTime(nil, m.ReceivedAt)},
		EventHeader{"content-type", []byte(EventContentType)},
	)
}

// eventTime is the layout of times in events, RFC 3339 with milliseconds.
const eventTime = "2006-01-02T15:04:05.000Z"

func appendTime(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, eventTime) }

// AppendEvent appends the JSON value of the message's event to dst.
func AppendEvent(dst []byte, m *Message) []byte {
	return AppendEventOf(dst, m, &m.Result.Blob, &m.Result.Digest)
}

// AppendEventOf appends the event that a message will have once it is stored at b.
func AppendEventOf(dst []byte, m *Message, b *Blob, digest *Digest) []byte {
	dst = append(dst, `{"id":"`...)
	dst = m.ID.Append(dst)
	dst = append(dst, `","received_at":"`...)
	dst = appendTime(dst, m.ReceivedAt)
	dst = append(dst, `","gateway":`...)
	dst = appendString(dst, m.Gateway)
	dst = appendClient(dst, &m.Client)
	dst = appendEnvelope(dst, &m.Envelope)
	dst = appendMessage(dst, m, b.Length-b.Added, digest)
	dst = appendBlob(dst, b)
	if m.Verdicts != nil {
		dst = append(dst, `,"verdicts":`...)
		dst = m.Verdicts.AppendJSON(dst)
	}
	return append(dst, '}')
}

// AppendOrigin appends to dst, as JSON, the fields of a message's event that do not follow
// from the stored message: gateway, client and envelope. A store that keeps them with the
// object allows the event to be made again: all other fields follow from the object and
// its key. The verdicts do not, but for what Authentication-Results says: they may take
// more room than stores have.
func AppendOrigin(dst []byte, m *Message) []byte {
	dst = append(dst, `{"gateway":`...)
	dst = appendString(dst, m.Gateway)
	dst = appendClient(dst, &m.Client)
	dst = appendEnvelope(dst, &m.Envelope)
	return append(dst, '}')
}

func appendClient(dst []byte, c *Client) []byte {
	dst = append(dst, `,"client":{"address":"`...)
	dst = c.Address.Addr().Unmap().AppendTo(dst)
	dst = append(dst, `","port":`...)
	dst = strconv.AppendUint(dst, uint64(c.Address.Port()), 10)
	dst = append(dst, `,"helo":`...)
	dst = appendString(dst, c.Helo)
	dst = append(dst, `,"protocol":`...)
	dst = appendString(dst, c.Protocol)
	dst = appendTLS(dst, c.TLS)
	dst = appendAuth(dst, c.Auth)
	if c.Role != RoleMX {
		dst = append(dst, `,"role":`...)
		dst = appendString(dst, string(c.Role))
	}
	if c.Proxy != nil {
		dst = appendProxy(dst, c.Proxy)
	}
	return append(dst, '}')
}

func appendTLS(dst []byte, t *TLS) []byte {
	if t == nil {
		return append(dst, `,"tls":null`...)
	}
	dst = append(dst, `,"tls":{"version":`...)
	dst = appendString(dst, t.Version)
	dst = append(dst, `,"cipher":`...)
	dst = appendString(dst, t.Cipher)
	dst = append(dst, `,"group":`...)
	dst = appendString(dst, t.Group)
	dst = append(dst, `,"resumed":`...)
	dst = strconv.AppendBool(dst, t.Resumed)
	dst = append(dst, `,"sni":`...)
	dst = appendString(dst, t.SNI)
	dst = append(dst, `,"certificate":`...)
	if t.Certificate == nil {
		return append(dst, `null}`...)
	}
	dst = append(dst, `{"subject":`...)
	dst = appendString(dst, t.Certificate.Subject)
	dst = append(dst, `,"sha256":"`...)
	dst = append(dst, t.Certificate.SHA256...)
	dst = append(dst, `","verified":`...)
	dst = strconv.AppendBool(dst, t.Certificate.Verified)
	return append(dst, `}}`...)
}

func appendAuth(dst []byte, a *Auth) []byte {
	if a == nil {
		return append(dst, `,"auth":null`...)
	}
	dst = append(dst, `,"auth":{"mechanism":`...)
	dst = appendString(dst, a.Mechanism)
	dst = append(dst, `,"identity":`...)
	dst = appendString(dst, a.Identity)
	dst = append(dst, `,"backend":`...)
	dst = appendString(dst, a.Backend)
	dst = append(dst, `,"issuer":`...)
	dst = appendString(dst, a.Issuer)
	return append(dst, '}')
}

func appendProxy(dst []byte, p *Proxy) []byte {
	dst = append(dst, `,"proxy":{"address":"`...)
	dst = p.Address.Unmap().AppendTo(dst)
	dst = append(dst, `","name":`...)
	dst = appendString(dst, p.Name)
	dst = append(dst, `,"authority":`...)
	dst = appendString(dst, p.Authority)
	dst = append(dst, `,"unique_id":"`...)
	dst = append(dst, p.UniqueID...)
	dst = append(dst, `","tls":`...)
	if p.TLS == nil {
		return append(dst, `null}`...)
	}
	dst = append(dst, `{"version":`...)
	dst = appendString(dst, p.TLS.Version)
	dst = append(dst, `,"cipher":`...)
	dst = appendString(dst, p.TLS.Cipher)
	dst = append(dst, `,"common_name":`...)
	dst = appendString(dst, p.TLS.CommonName)
	dst = append(dst, `,"verified":`...)
	dst = strconv.AppendBool(dst, p.TLS.Verified)
	return append(dst, `}}`...)
}

func appendEnvelope(dst []byte, e *Envelope) []byte {
	dst = append(dst, `,"envelope":{"mail_from":`...)
	dst = appendString(dst, e.ReversePath())
	dst = append(dst, `,"rcpt_to":[`...)
	for i := range e.Recipients() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"address":`...)
		dst = appendString(dst, e.Recipient(i))
		dst = append(dst, '}')
	}
	dst = append(dst, `],"body":`...)
	body := e.Body.String()
	if body == "" {
		body = "7BIT" // the default of MAIL without BODY (RFC 6152 §2)
	}
	dst = appendString(dst, body)
	dst = append(dst, `,"smtputf8":false,"size_declared":`...)
	dst = strconv.AppendInt(dst, max(e.SizeDeclared, 0), 10)
	if e.RequireTLS {
		dst = append(dst, `,"require_tls":true`...)
	}
	return append(dst, '}')
}

func appendMessage(dst []byte, m *Message, size int64, digest *Digest) []byte {
	dst = append(dst, `,"message":{"size":`...)
	dst = strconv.AppendInt(dst, size, 10)
	dst = append(dst, `,"sha256":"`...)
	dst = hex.AppendEncode(dst, digest[:])
	dst = append(dst, `","message_id":`...)
	dst = appendString(dst, m.Summary.MessageID)
	dst = append(dst, `,"eight_bit":`...)
	dst = strconv.AppendBool(dst, m.Report.EightBit)
	dst = append(dst, `,"bare_cr":`...)
	dst = strconv.AppendBool(dst, m.Report.BareCR)
	dst = append(dst, `,"bare_lf":`...)
	dst = strconv.AppendBool(dst, m.Report.BareLF)
	dst = append(dst, `,"nul":`...)
	dst = strconv.AppendBool(dst, m.Report.NUL)
	dst = append(dst, `,"longest_line":`...)
	dst = strconv.AppendInt(dst, int64(m.Report.LongestLine), 10)
	return append(dst, '}')
}

func appendBlob(dst []byte, b *Blob) []byte {
	dst = append(dst, `,"blob":{"store":`...)
	dst = appendString(dst, b.Store)
	dst = append(dst, `,"bucket":`...)
	dst = appendString(dst, b.Bucket)
	dst = append(dst, `,"key":`...)
	dst = appendString(dst, b.Key)
	if b.Container != "" {
		dst = append(dst, `,"container":`...)
		dst = appendString(dst, b.Container)
	}
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendInt(dst, b.Offset, 10)
	dst = append(dst, `,"length":`...)
	dst = strconv.AppendInt(dst, b.Length, 10)
	dst = append(dst, `,"added":`...)
	dst = strconv.AppendInt(dst, b.Added, 10)
	dst = append(dst, `,"crc32c":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, binary.BigEndian.AppendUint32(nil, b.CRC32C))
	return append(dst, `"}`...)
}

// appendString appends a JSON string (RFC 8259 §7). Bytes that are not UTF-8 become
// U+FFFD: a header may hold anything, a JSON text may not.
func appendString[T string | []byte](dst []byte, s T) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	text := string(s) // does not escape: the compiler keeps short ones on the stack
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRuneInString(text[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		i++
	}
	return append(dst, '"')
}

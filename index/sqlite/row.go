package sqlite

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"sluice/index"
	"sluice/pipeline"
)

// columns are those of a row after its key, in the order of fields and of scan.
var columns = []string{
	"id", "received_at", "client_address", "client_port", "client_name", "helo", "protocol", "tls_version", "tls_cipher",
	"role", "identity", "gateway", "mail_from", "rcpt_to", "size", "sha256", "blob_store", "blob_bucket", "blob_key",
	"blob_offset", "blob_length", "blob_added", "message_id", "message_references", "header_from", "header_to", "header_cc",
	"header_reply_to", "subject", "subject_raw", "date", "parts", "defects", "verdicts",
}

var (
	selectRow = "SELECT " + strings.Join(columns, ", ") + " FROM messages WHERE "
	insertRow = "INSERT OR IGNORE INTO messages (seq, " + strings.Join(columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(columns)) + ")"
)

// appendFields appends the values of the columns.
func appendFields(dst []any, m *index.Message) []any {
	c, b, h := &m.Client, &m.Blob, &m.Header
	address := ""
	if c.Address.IsValid() {
		address = c.Address.String()
	}
	return append(dst,
		m.ID.String(), m.ReceivedAt.UnixMilli(), address, int64(c.Port), c.Name, c.Helo, c.Protocol, c.TLSVersion, c.TLSCipher,
		c.Role, c.Identity, m.Gateway, m.MailFrom, list(m.RcptTo), m.Size, m.SHA256, b.Store, b.Bucket, b.Key,
		b.Offset, b.Length, b.Added, h.MessageID, list(h.References), list(h.From), list(h.To), list(h.Cc),
		list(h.ReplyTo), h.Subject.Text, h.Subject.Raw, millis(h.Date), list(m.Parts), list(m.Defects), verdicts(m.Verdicts),
	)
}

// list returns a list as JSON, nil for an empty one.
func list[T any](values []T) any {
	if len(values) == 0 {
		return nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(values); err != nil {
		panic(err) // texts and numbers alone
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func verdicts(v *pipeline.Verdicts) any {
	if v == nil {
		return nil
	}
	return string(v.AppendJSON(nil))
}

// millis returns a time in milliseconds, nil for none.
func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// scanner is a row of a result.
type scanner interface{ Scan(dest ...any) error }

// scan returns the message of a row.
func scan(row scanner) (*index.Message, error) {
	m := &index.Message{}
	c, b, h := &m.Client, &m.Blob, &m.Header
	var id, address string
	var receivedAt int64
	var date sql.NullInt64
	err := row.Scan(
		&id, &receivedAt, &address, &c.Port, &c.Name, &c.Helo, &c.Protocol, &c.TLSVersion, &c.TLSCipher,
		&c.Role, &c.Identity, &m.Gateway, &m.MailFrom, parsed(&m.RcptTo), &m.Size, &m.SHA256, &b.Store, &b.Bucket, &b.Key,
		&b.Offset, &b.Length, &b.Added, &h.MessageID, parsed(&h.References), parsed(&h.From), parsed(&h.To), parsed(&h.Cc),
		parsed(&h.ReplyTo), &h.Subject.Text, &h.Subject.Raw, &date, parsed(&m.Parts), parsed(&m.Defects), parsed(&m.Verdicts),
	)
	if err == nil {
		m.ID, err = pipeline.ParseID(id)
	}
	if err == nil && address != "" {
		c.Address, err = netip.ParseAddr(address)
	}
	if err != nil {
		return nil, content(err)
	}
	m.ReceivedAt = time.UnixMilli(receivedAt).UTC()
	if date.Valid {
		h.Date = time.UnixMilli(date.Int64).UTC()
	}
	return m, nil
}

// fromJSON scans a column of JSON into a value; NULL leaves it as it is.
type fromJSON struct{ value any }

func parsed(value any) *fromJSON { return &fromJSON{value} }

// Scan implements sql.Scanner.
func (f *fromJSON) Scan(column any) error {
	text, ok := column.(string)
	if !ok {
		return nil
	}
	return json.Unmarshal([]byte(text), f.value)
}

package postgres

import (
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"sluice/index"
	"sluice/pipeline"
)

// columns are those of the table messages, in the order of values and of scan.
var columns = []string{
	"id", "received_at", "gateway",
	"client", "client_port", "client_name", "helo", "protocol", "tls_version", "tls_cipher", "role", "identity",
	"mail_from", "rcpt_to", "size", "sha256",
	"blob_store", "blob_bucket", "blob_key", "blob_offset", "blob_length", "blob_added",
	"message_id", "refs", "header_from", "header_to", "header_cc", "reply_to", "subject", "subject_raw", "date",
	"parts", "defects", "verdicts",
}

var selectMessages = "select " + strings.Join(columns, ", ") + " from messages"

// values returns the row of a message.
func values(m *index.Message) ([]any, error) {
	h := &m.Header
	lists := [...]any{list(h.From), list(h.To), list(h.Cc), list(h.ReplyTo), list(m.Parts), list(m.Defects)}
	var encoded [len(lists)][]byte
	for i := range lists {
		var err error
		if encoded[i], err = json.Marshal(lists[i]); err != nil {
			return nil, err
		}
	}
	var verdicts []byte
	if m.Verdicts != nil {
		var err error
		if verdicts, err = json.Marshal(m.Verdicts); err != nil {
			return nil, err
		}
	}
	c, b := &m.Client, &m.Blob
	return []any{
		[16]byte(m.ID), m.ReceivedAt, m.Gateway,
		address(c.Address), int32(c.Port), c.Name, c.Helo, c.Protocol, c.TLSVersion, c.TLSCipher, c.Role, c.Identity,
		m.MailFrom, list(m.RcptTo), m.Size, m.SHA256,
		b.Store, b.Bucket, b.Key, b.Offset, b.Length, b.Added,
		h.MessageID, list(h.References), encoded[0], encoded[1], encoded[2], encoded[3],
		h.Subject.Text, h.Subject.Raw, pgtype.Timestamptz{Time: h.Date, Valid: !h.Date.IsZero()},
		encoded[4], encoded[5], verdicts,
	}, nil
}

// termColumns are those of the table message_terms, in the order of termValues.
var termColumns = []string{"id", "received_at", "client", "terms"}

func termValues(m *index.Message) []any {
	return []any{[16]byte(m.ID), m.ReceivedAt, address(m.Client.Address), hashes(m.Terms)}
}

// list returns an empty list for nil.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// address returns what stands for an address, nil if it is not kept.
func address(a netip.Addr) any {
	if !a.IsValid() {
		return nil
	}
	return a
}

// scan returns the message of a row.
func scan(row pgx.CollectableRow) (*index.Message, error) {
	m := &index.Message{}
	h, c, b := &m.Header, &m.Client, &m.Blob
	var id [16]byte
	var client *netip.Addr
	var port int32
	var date pgtype.Timestamptz
	var encoded [6][]byte
	var verdicts []byte
	err := row.Scan(
		&id, &m.ReceivedAt, &m.Gateway,
		&client, &port, &c.Name, &c.Helo, &c.Protocol, &c.TLSVersion, &c.TLSCipher, &c.Role, &c.Identity,
		&m.MailFrom, &m.RcptTo, &m.Size, &m.SHA256,
		&b.Store, &b.Bucket, &b.Key, &b.Offset, &b.Length, &b.Added,
		&h.MessageID, &h.References, &encoded[0], &encoded[1], &encoded[2], &encoded[3],
		&h.Subject.Text, &h.Subject.Raw, &date,
		&encoded[4], &encoded[5], &verdicts,
	)
	if err != nil {
		return nil, err
	}
	m.ID, m.ReceivedAt, c.Port = pipeline.ID(id), m.ReceivedAt.UTC(), uint16(port)
	if client != nil {
		c.Address = *client
	}
	h.Date = utc(date)
	for i, to := range [...]any{&h.From, &h.To, &h.Cc, &h.ReplyTo, &m.Parts, &m.Defects} {
		if err := json.Unmarshal(encoded[i], to); err != nil {
			return nil, err
		}
	}
	if verdicts != nil {
		err = json.Unmarshal(verdicts, &m.Verdicts)
	}
	return m, err
}

// utc returns the time of a column, zero for null.
func utc(t pgtype.Timestamptz) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return t.Time.UTC()
}

package index

import (
	"encoding/hex"

	"sluice/pipeline"
)

// FromEvent returns a row with all that an event says.
func FromEvent(e *pipeline.Event) *Message {
	m := &Message{
		ID: e.ID, ReceivedAt: e.ReceivedAt, Gateway: e.Gateway,
		Client: Client{
			Address: e.Client.Address.Addr().Unmap().WithZone(""), Port: e.Client.Address.Port(),
			Helo: e.Client.Helo, Protocol: e.Client.Protocol, Role: "mx",
		},
		MailFrom: e.Envelope.MailFrom, RcptTo: e.Envelope.RcptTo,
		Size: e.Message.Size, SHA256: hex.EncodeToString(e.Message.SHA256[:]),
		Blob: Blob{
			Store: e.Blob.Store, Bucket: e.Blob.Bucket, Key: e.Blob.Key,
			Offset: e.Blob.Offset, Length: e.Blob.Length, Added: e.Blob.Added,
		},
		Verdicts: e.Verdicts,
	}
	if e.Client.Role != pipeline.RoleMX {
		m.Client.Role = string(e.Client.Role)
	}
	if t := e.Client.TLS; t != nil {
		m.Client.TLSVersion, m.Client.TLSCipher = t.Version, t.Cipher
	}
	if a := e.Client.Auth; a != nil {
		m.Client.Identity = a.Identity
	}
	if p := e.Client.Proxy; p != nil {
		m.Client.Name = p.Name
	}
	if v := e.Verdicts; v != nil && v.IPRev.Name != "" {
		m.Client.Name = v.IPRev.Name
	}
	return m
}

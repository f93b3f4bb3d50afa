package index

import "net/netip"

// excluded are the fields that a row can be kept without, by their names.
var excluded = map[string]func(*Message){
	"client": func(m *Message) {
		m.Client.Address, m.Client.Port, m.Client.Name, m.Client.Helo = netip.Addr{}, 0, "", ""
	},
	"identity":   func(m *Message) { m.Client.Identity = "" },
	"sender":     func(m *Message) { m.MailFrom = "" },
	"recipients": func(m *Message) { m.RcptTo = nil },
	"addresses":  func(m *Message) { m.Header.From, m.Header.To, m.Header.Cc, m.Header.ReplyTo = nil, nil, nil, nil },
	"subject":    func(m *Message) { m.Header.Subject = Text{} },
	"message_id": func(m *Message) { m.Header.MessageID, m.Header.References = "", nil },
	"names": func(m *Message) {
		for i := range m.Parts {
			m.Parts[i].Name = Text{}
		}
	},
	"verdicts": func(m *Message) { m.Verdicts = nil },
}

// Fields are the names of the fields that Exclude knows, sorted.
var Fields = []string{"addresses", "client", "identity", "message_id", "names", "recipients", "sender", "subject", "verdicts"}

// Exclude removes the named fields of m.
func Exclude(m *Message, fields []string) {
	for _, f := range fields {
		excluded[f](m)
	}
}

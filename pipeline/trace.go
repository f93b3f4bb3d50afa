package pipeline

import "bytes"

// AppendTrace appends the Received field of a message to dst (RFC 5321 §4.4). The field
// names the client with its HELO name, the name that its address has confirmed and its
// address, the gateway, the protocol, the id, the cipher of TLS and the time of the final
// dot, m.ReceivedAt. It names the recipient only when there is one: recipients must not
// learn of each other (§7.2).
func AppendTrace(dst []byte, m *Message) []byte {
	dst = append(dst, "Received: from "...)
	dst = appendHelo(dst, m.Client.Helo)
	dst = append(dst, " ("...)
	dst = m.Verification.appendName(dst)
	dst = append(dst, '[')
	address := m.Client.Address.Addr().Unmap()
	if address.Is6() {
		dst = append(dst, "IPv6:"...) // RFC 5321 §4.1.3
	}
	dst = address.AppendTo(dst)
	dst = append(dst, "])\r\n\tby "...)
	dst = append(dst, m.Gateway...)
	dst = append(dst, " with "...)
	dst = append(dst, m.Client.Protocol...)
	dst = append(dst, " id "...)
	dst = m.ID.Append(dst)
	if m.Envelope.Recipients() == 1 {
		dst = append(dst, "\r\n\tfor <"...)
		recipient := m.Envelope.Recipient(0)
		dst = append(dst, recipient...)
		if bytes.IndexByte(recipient, '@') < 0 { // <postmaster>, which is no Path
			dst = append(dst, '@')
			dst = append(dst, m.Gateway...)
		}
		dst = append(dst, '>')
	}
	if t := m.Client.TLS; t != nil { // RFC 8314 §7.4
		dst = append(dst, "\r\n\ttls "...)
		dst = append(dst, t.Cipher...)
	}
	dst = append(dst, ";\r\n\t"...)
	dst = m.ReceivedAt.UTC().AppendFormat(dst, "Mon, 02 Jan 2006 15:04:05 -0700") // RFC 5322 §3.3
	return append(dst, "\r\n"...)
}

// appendHelo appends the name that a client gave itself. HELO accepts more than a domain
// (see codec.ValidHelo). A character that could be read as a comment, a delimiter or an
// address in a trace field becomes a question mark.
func appendHelo(dst []byte, helo string) []byte {
	for i := range len(helo) {
		switch c := helo[i]; c {
		case '(', ')', '<', '>', ',', ';', '"', '\\':
			dst = append(dst, '?')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

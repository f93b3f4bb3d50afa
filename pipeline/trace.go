package pipeline

import "bytes"

// AppendTrace writes the Received field that Sluice puts on top of a message
// (RFC 5321 §4.4): who sent it by which name, who took it by which protocol, under
// which id, the recipient when it is the only one (§7.2: others must not learn of
// each other), and when. m.ReceivedAt is the time of the final dot.
func AppendTrace(dst []byte, m *Message) []byte {
	dst = append(dst, "Received: from "...)
	dst = appendHelo(dst, m.Client.Helo)
	dst = append(dst, " (["...)
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
	dst = append(dst, ";\r\n\t"...)
	dst = m.ReceivedAt.UTC().AppendFormat(dst, "Mon, 02 Jan 2006 15:04:05 -0700") // RFC 5322 §3.3
	return append(dst, "\r\n"...)
}

// appendHelo writes the name that a client gave itself. HELO takes more than a
// domain (see codec.ValidHelo); what could be read as a comment, a delimiter or an
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

package client

import (
	"bytes"
	"net/netip"
	"regexp"
	"slices"

	"sluice/codec"
	"sluice/pipeline"
)

// event returns the fields of a message's event that follow from what was sent: what the
// client is, the envelope of Begin, and the content.
func (c *Conn) event(content []byte) *pipeline.Event {
	e := &pipeline.Event{Gateway: c.gateway}
	e.Client.Helo, e.Client.Protocol = helo, "ESMTP"
	if at, err := netip.ParseAddrPort(c.conn.LocalAddr().String()); err == nil {
		e.Client.Address = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	if m := c.mail; m != nil {
		e.Envelope = pipeline.EventEnvelope{
			MailFrom: m.From, RcptTo: slices.Clone(m.To), Body: "8BITMIME", SizeDeclared: m.Size,
		}
	}
	e.Message.MessageID = messageID(content)
	e.Message.Report = report(content)
	return e
}

var messageIDField = regexp.MustCompile(`(?im)^Message-ID:[ \t]*(?:\r\n[ \t]+)?(.*?)[ \t]*\r?$`)

// messageID returns the body of the first Message-ID field.
func messageID(content []byte) string {
	header, _, _ := bytes.Cut(content, []byte("\r\n\r\n"))
	if found := messageIDField.FindSubmatch(header); found != nil {
		return string(found[1])
	}
	return ""
}

// report returns what is unusual about content, without what the gateway uses for it.
func report(content []byte) (r codec.BodyReport) {
	for _, line := range bytes.Split(bytes.TrimSuffix(content, []byte("\r\n")), []byte("\r\n")) {
		r.LongestLine = max(r.LongestLine, len(line))
		r.BareCR = r.BareCR || bytes.IndexByte(line, '\r') >= 0
		r.BareLF = r.BareLF || bytes.IndexByte(line, '\n') >= 0
		r.NUL = r.NUL || bytes.IndexByte(line, 0) >= 0
		r.EightBit = r.EightBit || bytes.ContainsFunc(line, func(c rune) bool { return c > 0x7f })
	}
	return r
}

package session

import (
	"testing"

	"sluice/codec"
)

// someRecipients has ann, with any detail, at example.net.
type someRecipients struct{}

func (someRecipients) Has(local, domain []byte, delimiter byte) bool {
	text := string(local) + "@" + string(domain)
	return text == "ann@example.net" || delimiter == '+' && text == "ann+x@example.net"
}

// TestRecipients: of an accepted domain, only recipients that exist are taken. VRFY and
// the order of checks reveal nothing more than RCPT does.
func TestRecipients(t *testing.T) {
	settings := testSettings()
	settings.Recipients, settings.Delimiter = someRecipients{}, '+'
	for _, test := range []struct {
		to   string
		want *codec.Reply
	}{
		{"<ann@example.net>", codec.ReplyRecipientOk},
		{"<ann+x@example.net>", codec.ReplyRecipientOk},
		{"<bob@example.net>", codec.ReplyUnknownRecipient},
		{"<ann@example.com>", codec.ReplyRelayDenied},
		{"<bob@example.com>", codec.ReplyRelayDenied},
		{"<PostMaster>", codec.ReplyRecipientOk},
		{"<PostMaster@example.net>", codec.ReplyRecipientOk},
		{"<postmaster@example.com>", codec.ReplyRelayDenied},
		{"<postmaste\x52@example.net>", codec.ReplyRecipientOk},
		{"<postmasters@example.net>", codec.ReplyUnknownRecipient},
		{"<0ostmaster@example.net>", codec.ReplyUnknownRecipient},
	} {
		k := at(t, settings, "greeted")
		k.line("EHLO client.example")
		k.line("MAIL FROM:<a@example.org>")
		if got := k.line("RCPT TO:" + test.to).Reply; got != test.want {
			t.Errorf("%s: %v, want %v", test.to, got, test.want)
		}
	}
	for _, to := range []string{"ann@example.net", "bob@example.net", "ann", "bob"} {
		k := at(t, settings, "greeted")
		k.line("EHLO client.example")
		if got := k.line("VRFY " + to).Reply; got != codec.ReplyCannotVerify {
			t.Errorf("VRFY %s: %v", to, got)
		}
	}
}

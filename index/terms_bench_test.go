package index

import (
	"strings"
	"testing"
)

// BenchmarkSetTerms makes the terms of a usual mail with 4 KiB of text.
func BenchmarkSetTerms(b *testing.B) {
	words := strings.Fields(`Dear Ms Müller, please find attached the Invoice number 4711 of November for the delivery
		which we have sent to your warehouse in Hamburg; it is due within thirty days. Kind regards`)
	var text strings.Builder
	for i := 0; text.Len() < 4096; i++ {
		text.WriteString(words[i%len(words)])
		if i%3 == 0 {
			text.WriteString(strings.Repeat("x", i%17))
			text.WriteByte(byte('a' + i%26))
		}
		text.WriteByte(' ')
	}
	m := &Message{
		MailFrom: "anna@example.com", RcptTo: []string{"bob@example.net"},
		Header: Header{MessageID: "1@x", Subject: Text{Text: "Your invoice"}, From: []Address{{Text{Text: "Anna"}, "anna@example.com"}}},
	}
	b.ReportAllocs()
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		SetTerms(m, text.String())
	}
	b.ReportMetric(float64(len(m.Terms)), "terms")
}

package content

import (
	"bytes"
	"encoding/json"
	"flag"
	"slices"
	"testing"

	"sluice/index"
	"sluice/loadtest/corpus"
)

var mails = flag.Int64("content.mails", 300, "how many generated mails are read")

// TestCorpus reads generated mails and finds what is true of them.
func TestCorpus(t *testing.T) {
	for number := range *mails {
		m := corpus.Corpus{Seed: 25}.Mail(number)
		c, err := Read(bytes.NewReader(m.Content), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		found, err := json.Marshal(index.Message{Header: c.Header, Parts: c.Parts, Defects: c.Defects})
		if err != nil {
			t.Fatal(err)
		}
		var shown corpus.Shown
		if err := json.Unmarshal(found, &shown); err != nil {
			t.Fatal(err)
		}
		shown.MailFrom, shown.RcptTo, shown.Size, shown.SHA256 = m.Truth.MailFrom, m.Truth.RcptTo, m.Truth.Size, m.Truth.SHA256
		for _, wrong := range m.Truth.Compare(&shown) {
			t.Errorf("%d, %s: %s", number, m.Truth.Form, wrong)
		}
		words := slices.Collect(index.Words(c.Text))
		for w := range index.Words(m.Truth.Text) {
			if !slices.Contains(words, w) {
				t.Errorf("%d, %s: no %q in its text %.200q", number, m.Truth.Form, w, c.Text)
				break
			}
		}
	}
}

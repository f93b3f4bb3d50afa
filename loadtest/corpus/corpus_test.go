package corpus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sluice/internal/testkit"
)

// TestMails checks that a mail is the same each time, that all forms come, and that what
// stands in the truth stands in the mail.
func TestMails(t *testing.T) {
	c := Corpus{Seed: 7, Large: 400}
	seen := map[string]bool{}
	ids := map[string]int64{}
	for number := range int64(200) {
		m := c.Mail(number)
		if again := c.Mail(number); !bytes.Equal(m.Content, again.Content) || !slices.Equal(m.Truth.Parts, again.Truth.Parts) {
			t.Fatalf("%d differs from itself", number)
		}
		if n := len(m.Content); n > 0 && !bytes.HasSuffix(m.Content, []byte("\r\n")) || bytes.Contains(bytes.ReplaceAll(m.Content, []byte("\r\n"), nil), []byte("\n")) {
			t.Errorf("%d, %s: lines do not end in CRLF", number, m.Truth.Form)
		}
		seen[m.Truth.Form] = true
		if before, twice := ids[m.Truth.SHA256]; twice {
			t.Errorf("%d is %d", number, before)
		}
		ids[m.Truth.SHA256] = number
		for i, p := range m.Truth.Parts {
			if slices.ContainsFunc(m.Truth.Parts[:i], func(q Part) bool { return q.Number == p.Number }) {
				t.Errorf("%d, %s: part %s comes twice", number, m.Truth.Form, p.Number)
			}
		}
	}
	if len(seen) < len(forms) {
		t.Errorf("%d forms of %d", len(seen), len(forms))
	}
}

// TestPythonAgrees has Python's email package read the mails in which nothing is broken, and
// compares what it finds.
func TestPythonAgrees(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Python")
	}
	testkit.Tool(t, "python3")
	c := Corpus{Seed: 11}
	dir := t.TempDir()
	var truths []*Truth
	for number := range int64(250) {
		m := c.Mail(number)
		broken := slices.DeleteFunc(slices.Clone(m.Truth.Broken), func(kind string) bool { return kind == "date" })
		if m.Truth.Odd || len(broken) > 0 {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(number)), m.Content, 0o600); err != nil {
			t.Fatal(err)
		}
		truths = append(truths, m.Truth)
	}
	python := exec.CommandContext(t.Context(), "python3", "testdata/read.py", dir)
	var said strings.Builder
	python.Stderr = &said
	out, err := python.Output()
	if err != nil {
		t.Fatal(err, said.String())
	}
	read := map[string]*Truth{}
	if err := json.Unmarshal(out, &read); err != nil {
		t.Fatal(err)
	}
	for _, truth := range truths {
		shown := &Shown{Truth: *read[fmt.Sprint(truth.Number)]}
		// What Python is not asked for.
		shown.MailFrom, shown.RcptTo, shown.Size, shown.SHA256 = truth.MailFrom, truth.RcptTo, truth.Size, truth.SHA256
		want := *truth
		want.Broken = nil
		h := &want.Header
		for _, list := range []*[]Mailbox{&h.From, &h.To, &h.Cc, &h.ReplyTo} {
			*list = slices.Clone(*list)
			for i := range *list {
				(*list)[i].Name.Text = strings.ReplaceAll((*list)[i].Name.Text, " ", "")
			}
		}
		want.Parts = slices.Clone(want.Parts)
		for i := range want.Parts {
			if strings.HasPrefix(want.Parts[i].Type, "message/") { // it gives no bytes of a message
				want.Parts[i].SHA256 = ""
			}
		}
		if wrong := want.Compare(shown); len(wrong) > 0 {
			t.Errorf("%d, %s: Python says:\n%s", truth.Number, truth.Form, strings.Join(wrong, "\n"))
		}
	}
	t.Logf("%d of 250 mails compared", len(truths))
}

// TestSearches checks by which words mails are found.
func TestSearches(t *testing.T) {
	a := &Truth{
		Number: 1, MailFrom: "A.b@Example.com", RcptTo: []string{"c@d"}, Text: "Straße 請求書2026",
		Header: Header{Subject: Text{"Invoice 7"}, MessageID: "1@x"}, Parts: []Part{{Name: Text{"a.pdf"}, SHA256: "00"}},
	}
	b := &Truth{Number: 2, Header: Header{Subject: Text{"invoice"}, References: []string{"1@x"}}}
	var got []string
	for _, s := range Searches([]*Truth{a, b}) {
		got = append(got, fmt.Sprint(s.Field, " ", s.Value, s.Found))
	}
	want := []string{
		"attachment 00[1]", "attachment a[1]", "attachment pdf[1]",
		"from @example.com[1]", "from a[1]", "from a.b@example.com[1]", "from b[1]", "from com[1]", "from example[1]",
		"message-id 1@x[1 2]", "subject 7[1]", "subject Invoice 7[1]", "subject invoice[1 2]", "subject invoice[1 2]",
		"text 2026[1]", "text strasse[1]", "text 書[1]", "text 求[1]", "text 求書[1]", "text 請[1]", "text 請求[1]",
		"to @d[1]", "to c[1]", "to c@d[1]", "to d[1]",
	}
	slices.Sort(got)
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

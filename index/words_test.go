package index

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sluice/pipeline"
)

// TestWords splits and folds texts.
func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "",
		"Invoice No. 4711":              "invoice no 4711",
		"Müller-Lüdenscheidt, STRASSE":  "muller ludenscheidt strasse",
		"Straße":                        "strasse",
		"ＦＵＬＬ width":                    "full width",
		"Счёт за май":                   "счёт за май",
		"請求書":                           "請 請求 求 求書 書",
		"請求書2026年":                      "請 請求 求 求書 書 2026 年",
		"サーバー":                          "サ サー ー ーバ バ バー ー",
		"don't":                         "don t",
		"a_b=c":                         "a b c",
		"\u202einvoice\u202c\x00x\xffy": "invoice x y",
		"ﬁle":                           "file",
		"İstanbul":                      "istanbul",
		"فاتورة ٢٠٢٦":                   "فاتورة ٢٠٢٦",
	} {
		if got := strings.Join(slices.Collect(Words(text)), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestWordsOfQuery finds every text by itself, and those of unseparated scripts by pairs.
func TestWordsOfQuery(t *testing.T) {
	if got := strings.Join(wordsWanted("請求書 書"), " "); got != "請求 求書 書" {
		t.Error(got)
	}
}

// FuzzWords wants each word of a query to be one of the same text, and to be stable.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"Invoice", "請求書", "ｶﾞ", "ǅ", "İ", "\u0345\u0301a", "ßẞ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words := slices.Collect(Words(s))
		var whole []string
		splitWords(fold(s), true, func(w string) bool {
			whole = append(whole, w)
			return true
		})
		if !slices.Equal(words, whole) {
			t.Errorf("%q piece by piece, %q as a whole", words, whole)
		}
		for _, w := range wordsWanted(s) {
			if !slices.Contains(words, w) {
				t.Errorf("%q of the query %q is not among its words %q", w, s, words)
			}
		}
		for _, w := range words {
			if w == "" || !utf8.ValidString(w) || strings.ContainsAny(w, "\x00 ") {
				t.Errorf("%q of %q", w, s)
			}
			if !utf8.ValidString(term('s', w)) || len(term('s', w)) > maxTerm {
				t.Errorf("term %q", term('s', w))
			}
		}
	})
}

// TestParseQuery parses the words of a search.
func TestParseQuery(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	hash := strings.Repeat("Ab", 32)
	q, err := ParseQuery(url.Values{
		"from": {"Anna <anna", "@Example.com"}, "to": {"Bob@example.com"}, "subject": {"Rechnung Mai"}, "attachment": {"a.pdf", hash},
		"client": {"192.0.2.77/24"}, "helo": {"MX.example.com"}, "message-id": {"<Id@x>"}, "verdict": {"DMARC=fail"},
		"since": {"7d"}, "until": {"2026-11-28T10:00:00+01:00"}, "limit": {"7"}, "cursor": {"c"},
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"a:a", "a:pdf", "d:" + strings.ToLower(hash), "f:@example.com", "f:anna", "h:mx.example.com", "m:Id@x",
		"s:mai", "s:rechnung", "t:bob@example.com", "v:dmarc=fail",
	}
	if !slices.Equal(q.Terms, want) {
		t.Errorf("%q", q.Terms)
	}
	if q.Client.String() != "192.0.2.0/24" || q.Limit != 7 || q.Cursor != "c" ||
		!q.Since.Equal(now.Add(-168*time.Hour)) || !q.Until.Equal(now.Add(-3*time.Hour)) {
		t.Errorf("%+v", q)
	}
	for word, value := range map[string]string{
		"from": "...", "client": "x", "verdict": "dmarc", "since": "yesterday", "limit": "0", "nothing": "x",
	} {
		if _, err := ParseQuery(url.Values{word: {value}}, now); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s=%s: %v", word, value, err)
		}
	}
}

// TestTermsFindMessage builds a row and finds it by each word that a user would try.
func TestTermsFindMessage(t *testing.T) {
	m := &Message{
		Client: Client{Helo: "MX.Sender.example"}, MailFrom: "bounce+17@lists.example", RcptTo: []string{"Bob@Example.net"},
		Header: Header{
			MessageID: "1@x", References: []string{"0@x", "a b@x", strings.Repeat("i", 1200)}, Subject: Text{Text: "Your in\u200bvo\u00adice"},
			From:    []Address{{Name: Text{Text: "Anna Müller"}, Address: "anna@example.com"}},
			ReplyTo: []Address{{Address: "o´brien@example.com"}},
		},
		Parts:    []Part{{Number: "1", Name: Text{Text: "Rechnung Mai.PDF"}, SHA256: strings.Repeat("0f", 32)}},
		Verdicts: &pipeline.Verdicts{Disposition: "accept", DMARC: pipeline.DMARCVerdict{Result: "fail"}, DKIM: []pipeline.DKIMVerdict{{Result: "pass"}}},
	}
	Clean(m)
	SetTerms(m, "please pay")
	for _, s := range []string{
		"from=anna@example.com", "from=@example.com", "from=muller", "from=lists.example", "from=bounce+17@lists.example",
		"to=bob@example.net", "to=bob", "subject=INVOICE", "text=pay", "attachment=rechnung.pdf", "attachment=" + strings.Repeat("0F", 32),
		"helo=mx.sender.example", "message-id=<1@x>", "message-id=0@x", "message-id=<a b@x>", "message-id=ab@x",
		"message-id=" + strings.Repeat("i", 1200), "from=o´brien@example.com", "verdict=dmarc=fail", "verdict=dkim=pass",
	} {
		name, value, _ := strings.Cut(s, "=")
		q, err := ParseQuery(url.Values{name: {value}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range q.Terms {
			if !slices.Contains(m.Terms, w) {
				t.Errorf("%s: no %s", s, w)
			}
		}
	}
	if slices.Contains(m.Terms, "f:@net") || slices.Contains(m.Terms, "f:bob@example.net") {
		t.Error("a recipient is a sender")
	}
}

// TestClean cleans what databases refuse.
func TestClean(t *testing.T) {
	long := strings.Repeat("é", 5000)
	m := &Message{
		RcptTo: []string{"a\x00b", "c\xff"}, Header: Header{MessageID: long, Subject: Text{Text: long, Raw: "\x00"}, Date: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)},
		Parts: []Part{{Name: Text{Text: strings.Repeat("n", 1<<20)}}},
	}
	Clean(m)
	if m.RcptTo[0] != "a\uFFFDb" || m.RcptTo[1] != "c\uFFFD" || m.Header.Subject.Raw != "\uFFFD" || !m.Header.Date.IsZero() {
		t.Errorf("%q", m.RcptTo)
	}
	for _, s := range []string{m.Header.MessageID, m.Header.Subject.Text, m.Parts[0].Name.Text} {
		if len(s) > maxText || !strings.HasSuffix(s, mark) || !utf8.ValidString(s) {
			t.Errorf("%d bytes", len(s))
		}
	}
	if !slices.Equal(m.Defects, []Defect{{Kind: DefectCut}}) {
		t.Errorf("%v", m.Defects)
	}
}

// TestCleanBoundsNames keeps names of parts up to a bound for all of them, and all parts.
func TestCleanBoundsNames(t *testing.T) {
	m := &Message{Parts: make([]Part, 1000)}
	for i := range m.Parts {
		m.Parts[i] = Part{Number: "1", Name: Text{Text: strings.Repeat("n", maxText), Raw: strings.Repeat("r", maxText)}}
	}
	Clean(m)
	size := 0
	for _, p := range m.Parts {
		size += len(p.Name.Text) + len(p.Name.Raw)
	}
	if size != maxNames || len(m.Parts) != 1000 || m.Parts[0].Name.Text == "" || !slices.Equal(m.Defects, []Defect{{Kind: DefectCut}}) {
		t.Errorf("%d bytes of names, %v", size, m.Defects)
	}
}

// TestExclude has a function for each name of a field.
func TestExclude(t *testing.T) {
	if !slices.IsSorted(Fields) || len(Fields) != len(excluded) {
		t.Error("names and functions differ")
	}
	m := &Message{RcptTo: []string{"a"}, Verdicts: &pipeline.Verdicts{}, Parts: []Part{{Name: Text{Text: "a"}}}}
	Exclude(m, Fields)
	if m.RcptTo != nil || m.Verdicts != nil || m.Parts[0].Name.Text != "" {
		t.Errorf("%+v", m)
	}
}

// TestListsAreNeverNull writes a row without anything.
func TestListsAreNeverNull(t *testing.T) {
	text, err := json.Marshal([]*Message{{}})
	if err != nil || strings.Contains(string(text), "null") {
		t.Errorf("%s %v", text, err)
	}
}

// TestNoWordHidesOthers wants who got a mail, its subject and its text to be found, however
// many words its names have.
func TestNoWordHidesOthers(t *testing.T) {
	many := func(prefix string) (list []Address) {
		for i := range maxMailboxes {
			list = append(list, Address{Name: Text{Text: fmt.Sprintf("%s%da %[1]s%[2]db %[1]s%[2]dc", prefix, i)}, Address: fmt.Sprintf("%s%d@%[1]s%[2]d.example", prefix, i)})
		}
		return list
	}
	m := &Message{
		MailFrom: "anna@example.com", Header: Header{From: many("f"), ReplyTo: many("r"), To: many("t"), Cc: many("c"), Subject: Text{Text: "invoice"}},
		Parts: make([]Part, 1000),
	}
	for i := range 1000 {
		m.Parts[i].Name.Text = strings.Repeat("x ", i) + fmt.Sprintf("n%d", i)
		m.RcptTo = append(m.RcptTo, fmt.Sprintf("%s%d@example.net", strings.Repeat("r.", i%30), i))
	}
	SetTerms(m, "please pay")
	for _, want := range []string{"t:" + m.RcptTo[999], "t:@example.net", "f:anna@example.com", "s:invoice", "f:f1", "t:t1@t1.example", "a:n7", "x:pay"} {
		if !slices.Contains(m.Terms, want) {
			t.Errorf("no %s", want)
		}
	}
	if len(m.Terms) > maxTerms || !slices.Contains(m.Defects, Defect{Kind: DefectTermsLeftOut}) {
		t.Errorf("%d terms, %v", len(m.Terms), m.Defects)
	}
}

package verify_test

import (
	"io"
	"math/rand/v2"
	netmail "net/mail"
	"strings"
	"testing"

	"sluice/pipeline"
)

// TestHeaderOfReaders has mails of which programs read different parts as the header. What
// some of them take for text is not judged as header, and no signature covers it.
func TestHeaderOfReaders(t *testing.T) {
	whole := signed("example.com", "a@example.com", "text\r\n")
	header, body, _ := strings.Cut(whole, "\r\n\r\n")
	behind := func(more string) string { return header + "\r\n" + more + "\r\n\r\n" + body }
	const none, several = "permerror no From field", "permerror several From fields"
	for name, c := range map[string]struct{ text, dkim, dmarc string }{
		"as it was signed":               {whole, "pass", "pass"},
		"a field on top":                 {"X: y\r\n" + whole, "pass", "pass"},
		"an old field on top":            {"<p> \t: Buy here\r\n" + whole, "policy", "fail"},
		"an old field below":             {behind("<p> : Buy here"), "policy", "fail"},
		"the line of an mbox":            {"From a Fri Nov 27\r\n" + whole, "pass", "pass"},
		"the line of an mbox, quoted":    {">From a Fri Nov 27\r\n" + whole, "pass", "pass"},
		"a line on top":                  {"Buy here\r\n" + whole, "none", none},
		"a line on top, with the author": {"Buy here\r\nFrom: b@none.example\r\n\r\ntext\r\n", "none", none},
		"white space on top":             {" Buy here\r\n" + whole, "none", none},
		"no name":                        {": Buy here\r\n" + whole, "none", none},
		"a name in other letters":        {"B\xc3\xbcy: here\r\n" + whole, "none", none},
		"an empty line by LF on top":     {"X: y\n\nBuy here\r\n" + whole, "none", none},
		"an empty line by CR on top":     {"X: y\r\rBuy here\r\n" + whole, "none", none},
		"CR before CRLF on top":          {"X: y\r\r\nBuy: here\r\n" + whole, "none", none},
		"a line by LF on top":            {"X: y\nBuy here\r\n" + whole, "none", none},
		"a field by LF on top":           {"X: y\nZ: z\r\n" + whole, "pass", "pass"},
		"an old field by CR below":       {behind("X: y\r<p> : Buy here"), "fail", "fail"},
		"a line by CR below":             {behind("X: y\rBuy here"), "fail", "fail"},
		"a line below":                   {behind("Buy here"), "fail", "fail"},
		"the line of an mbox below":      {behind("From a Fri Nov 27"), "fail", "fail"},
		"an empty line by LF below":      {behind("X: y\n\nBuy here"), "fail", "fail"},
		"a line and another author":      {behind("Buy here\r\nFrom: b@none.example"), "fail", several},
		"a line and another author, LF":  {behind("Buy here\nFrom : b@none.example"), "fail", several},
		"an empty line first":            {"\r\n" + whole, "none", none},
	} {
		for _, size := range []int{1, 7, 1 << 20} {
			v, _ := verdictOf(t.Context(), options(), worldZone(), mailFrom(c.text), size)
			dkim := "none"
			if len(v.Verdicts.DKIM) > 0 {
				dkim = v.Verdicts.DKIM[0].Result
			}
			got := strings.TrimSuffix(v.Verdicts.DMARC.Result+" "+v.Verdicts.DMARC.Reason, " ")
			if dkim != c.dkim || got != c.dmarc {
				t.Errorf("%s: dkim=%s dmarc=%s, want dkim=%s dmarc=%s", name, dkim, got, c.dkim, c.dmarc)
			}
		}
	}
}

// mailFrom returns a mail whose sender has nothing to do with its author.
func mailFrom(text string) mail { return mail{foreign, "x", "e@evil.example", text} }

// TestReadersSeeWhatPasses changes a signed mail at random. Whenever it passes, Go's
// net/mail finds in the stored mail the author who signed it, and the text that he signed.
func TestReadersSeeWhatPasses(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{
		"\r\n", "\r\n", "\n", "\r", " ", "\t", ":", "X: y", "X : y", "Buy here", "From a", ">From ", "From: b@none.example", "\x00", "\xc3\xbc",
	}
	whole := signed("example.com", "a@example.com", "text\r\n")
	lines := strings.SplitAfter(whole, "\r\n")
	passed := 0
	for range 4000 {
		at := random.IntN(len(lines))
		text := strings.Join(lines[:at], "")
		for range 1 + random.IntN(5) {
			text += pieces[random.IntN(len(pieces))]
		}
		text += strings.Join(lines[at:], "")
		v, _ := verdictOf(t.Context(), options(), worldZone(), mailFrom(text), 1<<20)
		if v.Verdicts.DMARC.Result != "pass" {
			continue
		}
		m, err := netmail.ReadMessage(strings.NewReader("Received: x\r\n" + pipeline.SeparatorOf([]byte(text)) + text))
		if err != nil {
			continue // it reads nothing then
		}
		body, err := io.ReadAll(m.Body)
		if err != nil || strings.TrimRight(string(body), "\r\n") != "text" || strings.TrimSpace(m.Header.Get("From")) != "a@example.com" {
			t.Fatalf("%q passes, and is read as from %q with text %q, %v", text, m.Header.Get("From"), body, err)
		}
		passed++
	}
	if passed < 30 { // else there was nothing to see
		t.Errorf("%d of the mails passed", passed)
	}
}

package author_test

import (
	"strings"
	"testing"
	"time"

	"sluice/gateway/verify/author"
	"sluice/gateway/verify/fields"
)

func TestDomain(t *testing.T) {
	const malformed = author.ReasonMalformed
	for header, want := range map[string]string{
		"From: a@example.com":                                    "example.com",
		"fRoM \t: a@EXAMPLE.com":                                 "example.com",
		"From: Alice <a@example.com>":                            "example.com",
		"From: \"b@evil.example\" <a@example.com>":               "example.com",
		"From: \"x\\\" <b@evil.example>\" <a@example.com>":       "example.com",
		"From: (b@evil.example (n) \\) ) a@example.com (c)":      "example.com",
		"From: Alice\r\n \"A\" B. <a(x)@(y)example (z) . com>":   "example.com",
		"From: =?utf-8?Q?Smith,_John?= <a@example.com>":          "example.com",
		"From: \xc3\xa4\xff <a@example.com>":                     "example.com",
		"From: a@b\xc3\xbccher.example":                          "xn--bcher-kva.example",
		"From: a@xn--bcher-kva.example, b@B\xc3\xbcCHER.example": "xn--bcher-kva.example",
		"From: a@example.com, , B <b@example.COM>,":              "example.com",
		"From: team: a@example.com, <b@example.com>;":            "example.com",
		"From: <@r.example,@s.example:a@example.com>":            "example.com",
		"From: \"a b\"@example.com":                              "example.com",
		"From: \"a\".b . c@example.com":                          "example.com",
		"From: a@_x.example.com":                                 "_x.example.com",
		"From: a@example.com\r\nFrom: a@example.com":             string(author.ReasonSeveralFields),
		"From: a@example.com\r\nX: y\nFrom: b@evil.example":      string(author.ReasonSeveralFields),
		"From: a@example.com\rfrom : b@evil.example":             string(author.ReasonSeveralFields),
		"junk\nFrom: b@evil.example\r\nFrom: a@example.com":      string(author.ReasonSeveralFields),
		"To: a@example.com":                                      string(author.ReasonNoFrom),
		"From: a@example.com, b@example.net":                     string(author.ReasonSeveralDomains),
		"From: g: a@example.com;, b@example.net":                 string(author.ReasonSeveralDomains),
		"From: undisclosed:;":                                    string(author.ReasonNoDomain),
		"From:":                                                  string(author.ReasonNoDomain),
		"From: \t(c)":                                            string(author.ReasonNoDomain),
		"From: <>":                                               string(malformed),
		"From: Alice":                                            string(malformed),
		"From: a@[192.0.2.1]":                                    string(malformed),
		"From: a b@example.com":                                  string(malformed),
		"From: a@example.com b@example.net":                      string(malformed),
		"From: a@example.com <b@example.net>":                    string(malformed),
		"From: <a@example.com> <b@example.net>":                  string(malformed),
		"From: <a@example.com":                                   string(malformed),
		"From: a@example.com>":                                   string(malformed),
		"From: a@b@example.com":                                  string(malformed),
		"From: \"a <a@example.com>":                              string(malformed),
		"From: (a a@example.com":                                 string(malformed),
		"From: g: a@example.com":                                 string(malformed),
		"From: g: h: a@example.com;;":                            string(malformed),
		"From: a@example..com":                                   string(malformed),
		"From: a@exa\x00mple.com":                                string(malformed),
		"From: a@example.com\x00":                                string(malformed),
		"From: =?x?q?a@evil.example?= <a@example.com>":           string(malformed),
		"From: a@" + strings.Repeat("a", 64) + ".com":            string(malformed),
		"From: a@\xff.com":                                       string(malformed),
	} {
		list, _ := fields.Split([]byte(header + "\r\n\r\n"))
		got, why := author.Domain(list, nil)
		if got+string(why) != want || got != "" && why != "" {
			t.Errorf("%q: %q, %q, want %q", header, got, why, want)
		}
	}
}

// TestHostileFieldsAreLinear has fields that would take minutes if each byte were looked
// at once for each other.
func TestHostileFieldsAreLinear(t *testing.T) {
	for _, part := range []string{"(", "\"", "\\", "a@", "<@", "<@a,", ",", "a.", "a ", "=?", "=?a?b?", "g:", "\r\n ", "\n", "\xff", "@\xc3\xbc.", "a@b,"} {
		text := "From: a@" + strings.Repeat(part, 250<<10/len(part)) + "\r\n\r\n"
		begin := time.Now()
		list, _ := fields.Split([]byte(text))
		author.Domain(list, nil)
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%q took %v", part, took)
		}
	}
}

func FuzzDomain(f *testing.F) {
	f.Add([]byte("From: \"x\" (c) <@a,@b:c@d>, g: e@f;\r\n\r\n"))
	f.Fuzz(func(t *testing.T, header []byte) {
		list, _ := fields.Split(header)
		name, why := author.Domain(list, nil)
		if (name == "") == (why == "") || strings.ContainsAny(name, " \r\n\"<>@") {
			t.Errorf("%q, %q", name, why)
		}
	})
}

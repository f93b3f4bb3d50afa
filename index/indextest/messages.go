package indextest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sluice/index"
	"sluice/pipeline"
)

// noon is the time from which those of the suite are counted.
var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// random makes the suite's ids. Nobody guesses them, so all runs may have the same.
type random struct{ *rand.Rand }

func newRandom(seed uint64) random { return random{rand.New(rand.NewPCG(seed, 25))} }

// message returns a short row with these terms.
func (r random) message(at time.Time, terms ...string) *index.Message {
	return &index.Message{
		ID: pipeline.NewID(at, r), ReceivedAt: at.Truncate(time.Millisecond).UTC(), Gateway: "mx1.example",
		Client:   index.Client{Address: netip.MustParseAddr("192.0.2.1"), Port: 25, Role: "mx"},
		MailFrom: "a@example.org", RcptTo: []string{"b@example.net"}, Size: 100,
		SHA256: strings.Repeat("0f", 32), Blob: index.Blob{Store: "dir", Key: "k", Length: 100},
		Terms: sorted(terms),
	}
}

func sorted(terms []string) []string { return slices.Compact(slices.Sorted(slices.Values(terms))) }

// full returns a row in which every field is set.
func (r random) full(at time.Time) *index.Message {
	text := func(s string) index.Text { return index.Text{Text: s, Raw: "=?utf-8?q?" + s + "?="} }
	addresses := func(name string) []index.Address {
		return []index.Address{{Name: text(name + " Müller"), Address: name + "@example.org"}, {Address: "other." + name}}
	}
	m := r.message(at)
	m.Client = index.Client{
		Address: netip.MustParseAddr("2001:db8::1"), Port: 65535, Name: "host.example", Helo: "[IPv6:2001:db8::1]",
		Protocol: "ESMTPSA", TLSVersion: "TLS1.3", TLSCipher: "TLS_AES_128_GCM_SHA256", Role: "submission", Identity: "anna@example.org",
	}
	m.ReceivedAt = m.ReceivedAt.Add(1999 * time.Millisecond)
	m.RcptTo = []string{"b@example.net", "c@example.net", "b@example.net"}
	m.Size, m.Blob = 1<<40, index.Blob{
		Store: "s3", Bucket: "mail", Key: "2026/05/04/12/" + m.ID.String(), Offset: 1 << 41, Length: 1<<40 + 300, Added: 300,
	}
	m.Header = index.Header{
		MessageID: "Id.1@x", References: []string{"0@x", "00@x"}, From: addresses("from"), To: addresses("to"),
		Cc: addresses("cc"), ReplyTo: addresses("reply"), Subject: text("Grüße 😀 \"'\\%_\t請求書"),
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	m.Parts = []index.Part{
		{Number: "1", Type: "text/plain", Charset: "utf-8", Size: 1, SHA256: strings.Repeat("1a", 32)},
		{Number: "2.1", Type: "application/pdf", Disposition: "attachment", Name: text("Rechnung.pdf"), Size: 1 << 33, SHA256: strings.Repeat("2b", 32)},
	}
	m.Defects = []index.Defect{{Kind: index.DefectHeader}, {Kind: index.DefectCharset, Part: "2.1"}}
	m.Verdicts = verdicts()
	index.SetTerms(m, "please pay\n")
	return m
}

func verdicts() *pipeline.Verdicts {
	return &pipeline.Verdicts{
		Disposition: "quarantine", Cause: "dmarc_quarantine", HeaderTooLong: true, Forged: 2,
		SPF:         pipeline.SPFVerdict{Result: "softfail", Identity: "mailfrom", Domain: "example.org", Mechanism: "~all", Reason: "why", Helo: "none"},
		DKIM:        []pipeline.DKIMVerdict{{Domain: "example.org", Selector: "s1", Algorithm: "rsa-sha256", Result: "fail", Reason: "body"}, {Domain: "example.com", Result: "pass"}},
		DKIMSkipped: 3,
		DMARC: pipeline.DMARCVerdict{
			Result: "fail", Reason: "r", From: "example.org", OrganizationalDomain: "example.org", RecordDomain: "example.org",
			Policy: "quarantine", SPFAligned: true, DKIMAligned: true, Disposition: "quarantine", Override: "local_policy",
			Record: &pipeline.DMARCRecord{Published: "p", Domain: "quarantine", Subdomains: "none", Missing: "reject", AlignDKIM: "r", AlignSPF: "s", Test: true, Reports: "mailto:a@b"},
		},
		IPRev: pipeline.IPRevVerdict{Result: "pass", Name: "host.example"},
	}
}

// many returns n short rows, one a millisecond, with the term s:all.
func (r random) many(n int) (messages []*index.Message) {
	for i := range n {
		messages = append(messages, r.message(noon.Add(time.Duration(i)*time.Millisecond), "s:all", fmt.Sprintf("s:%d", i)))
	}
	return messages
}

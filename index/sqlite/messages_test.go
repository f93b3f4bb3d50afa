package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sluice/index"
	"sluice/pipeline"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// messages returns n messages as mail has them, one every 2 milliseconds, each with the
// first so many words of a text.
func messages(n, words int) []*index.Message { return messagesFrom(noon, 1, n, words) }

func messagesFrom(begin time.Time, seed uint64, n, words int) []*index.Message {
	r := rand.New(rand.NewPCG(seed, 2))
	frequent := rand.NewZipf(r, 1.1, 10, 100_000) // few words are, many are not
	rows := make([]*index.Message, n)
	var text strings.Builder
	for i := range rows {
		at := begin.Add(time.Duration(i) * 2 * time.Millisecond)
		sender := fmt.Sprintf("user%d@sender%d.example", r.IntN(5000), r.IntN(300))
		m := &index.Message{
			ID: pipeline.NewID(at, r), ReceivedAt: at, Gateway: "mx1.example",
			Client: index.Client{
				Address: netip.AddrFrom4([4]byte{198, 51, byte(r.IntN(4)), byte(r.IntN(256))}), Port: 40000, Helo: "mail.sender.example",
				Name: "mail.sender.example", Protocol: "ESMTPS", TLSVersion: "TLS1.3", TLSCipher: "TLS_AES_128_GCM_SHA256", Role: "mx",
			},
			MailFrom: sender, RcptTo: []string{fmt.Sprintf("rcpt%d@example.net", r.IntN(2000))},
			Size: 10_240, SHA256: fmt.Sprintf("%064x", r.Uint64()),
			Blob: index.Blob{Store: "s3", Bucket: "mail", Key: "2026/05/04/12/pack-" + fmt.Sprint(i/100), Offset: int64(i%100) * 11_000, Length: 11_000, Added: 700},
			Header: index.Header{
				MessageID: fmt.Sprintf("%x.%d@sender.example", r.Uint64(), i), Subject: index.Text{Text: fmt.Sprintf("Invoice %d for %s", i, sender)},
				From: []index.Address{{Name: index.Text{Text: "Some Sender"}, Address: sender}},
				To:   []index.Address{{Address: "rcpt@example.net"}}, Date: at.Truncate(time.Second),
			},
			Parts: []index.Part{
				{Number: "1", Type: "text/plain", Charset: "utf-8", Size: 4000, SHA256: fmt.Sprintf("%064x", r.Uint64())},
				{Number: "2", Type: "application/pdf", Disposition: "attachment", Name: index.Text{Text: fmt.Sprintf("invoice-%d.pdf", i)}, Size: 5000, SHA256: fmt.Sprintf("%064x", r.Uint64())},
			},
			Verdicts: &pipeline.Verdicts{
				Disposition: "accept", SPF: pipeline.SPFVerdict{Result: "pass", Identity: "mailfrom", Domain: "sender.example", Helo: "none"},
				DKIM:  []pipeline.DKIMVerdict{{Domain: "sender.example", Selector: "s", Algorithm: "rsa-sha256", Result: "pass"}},
				DMARC: pipeline.DMARCVerdict{Result: "pass", From: "sender.example", Policy: "none", Disposition: "none"},
			},
		}
		text.Reset()
		for range words {
			fmt.Fprintf(&text, "w%x ", frequent.Uint64())
		}
		index.SetTerms(m, text.String())
		rows[i] = m
	}
	return rows
}

func mustInsert(t *testing.T, s *Store, rows []*index.Message, want int) {
	t.Helper()
	if n, err := s.Insert(context.Background(), rows); n != want || err != nil {
		t.Fatalf("%d inserted, want %d: %v", n, want, err)
	}
}

// mustCount wants to find so many messages, by a term and without.
func mustCount(t *testing.T, s *Store, want int) {
	t.Helper()
	for _, terms := range [][]string{nil, {"s:invoice"}} {
		page, err := s.Find(context.Background(), &index.Query{Limit: 10_000, Terms: terms})
		if err != nil || len(page.Messages) != want {
			t.Fatalf("%q: %d found, want %d: %v", terms, len(page.Messages), want, err)
		}
	}
}

// checkIntegrity has SQLite compare tables, indexes and terms.
func checkIntegrity(t *testing.T, s *Store) {
	t.Helper()
	var result string
	if err := s.writer.QueryRowContext(context.Background(), "PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		t.Errorf("%s, %v", result, err)
	}
}

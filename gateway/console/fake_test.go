package console

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/index"
	"sluice/pipeline"
)

// now is the time of the tests.
var now = time.Date(2026, 11, 28, 9, 30, 0, 0, time.UTC)

// fakeStore is an index and an object store in memory.
type fakeStore struct {
	index.Store // nil: what the console must not call panics
	messages    []*index.Message
	bodies      map[string]string // by key

	mu    sync.Mutex
	err   error                         // that all calls return
	wait  func(ctx context.Context)     // in each call
	open  func() (io.ReadCloser, error) // instead of the body
	opens int
	finds []index.Query
}

func (s *fakeStore) begin(ctx context.Context) error {
	s.mu.Lock()
	wait, err := s.wait, s.err
	s.mu.Unlock()
	if wait != nil {
		wait(ctx)
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// Find implements index.Store.
func (s *fakeStore) Find(ctx context.Context, q *index.Query) (index.Page, error) {
	s.mu.Lock()
	s.finds = append(s.finds, *q)
	s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return index.Page{}, err
	}
	after := ""
	if q.Cursor != "" {
		if _, err := pipeline.ParseID(q.Cursor); err != nil {
			return index.Page{}, fmt.Errorf("%w: %q", index.ErrCursor, q.Cursor)
		}
		after = q.Cursor
	}
	page := index.Page{}
	for _, m := range s.messages {
		id := m.ID.String()
		if after != "" && id >= after || slices.ContainsFunc(q.Terms, func(t string) bool { return !slices.Contains(m.Terms, t) }) {
			continue
		}
		if len(page.Messages) == q.Limit {
			page.Cursor = page.Messages[q.Limit-1].ID.String()
			break
		}
		page.Messages = append(page.Messages, m)
	}
	return page, nil
}

// Get implements index.Store.
func (s *fakeStore) Get(ctx context.Context, id pipeline.ID) (*index.Message, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	for _, m := range s.messages {
		if m.ID == id {
			return m, nil
		}
	}
	return nil, index.ErrNotFound
}

// Open is Options.Open.
func (s *fakeStore) Open(ctx context.Context, b index.Blob) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opens++
	if s.open != nil {
		return s.open()
	}
	body, ok := s.bodies[b.Key]
	if !ok {
		return nil, fmt.Errorf("open %s: %w", b.Key, fs.ErrNotExist)
	}
	return io.NopCloser(strings.NewReader(body)), ctx.Err()
}

// add adds a message that is younger than those before, with this stored form.
func (s *fakeStore) add(m *index.Message, body string) *index.Message {
	n := len(s.messages)
	if m.ReceivedAt.IsZero() {
		m.ReceivedAt = now.Add(time.Duration(n-48) * (7*time.Minute + 13*time.Second))
	}
	m.ID = pipeline.NewID(m.ReceivedAt, &counter{n: uint64(n)})
	if m.Gateway == "" {
		m.Gateway = "mx1.example.net"
	}
	if !m.Client.Address.IsValid() {
		m.Client = index.Client{Address: netip.MustParseAddr("192.0.2.25"), Port: 40123, Name: "mail.example.com", Helo: "mail.example.com",
			Protocol: "ESMTPS", TLSVersion: "TLSv1.3", TLSCipher: "TLS_AES_128_GCM_SHA256", Role: "mx"}
	}
	m.Size, m.SHA256 = int64(len(body)), strings.Repeat("a0b1c2d3", 8)
	m.Blob = index.Blob{Store: "s3", Bucket: "mail", Key: fmt.Sprintf("2026/11/28/%d.tar", n), Length: int64(len(body))}
	for i := range m.Parts {
		m.Parts[i].SHA256 = fmt.Sprintf("%064x", n*100+i)
	}
	index.SetTerms(m, body)
	if s.bodies == nil {
		s.bodies = map[string]string{}
	}
	s.bodies[m.Blob.Key] = body
	s.messages = append([]*index.Message{m}, s.messages...)
	return m
}

// counter is a pipeline.Random.
type counter struct{ n uint64 }

func (c *counter) Uint64() uint64 { return c.n }

func text(s string) index.Text { return index.Text{Text: s} }

func mailboxOf(name, address string) []index.Address {
	return []index.Address{{Name: text(name), Address: address}}
}

// options are those of a console on a store, without a token.
func (s *fakeStore) options() Options {
	return Options{
		Store: s, Open: s.Open, Token: func() string { return "" },
		Hosts: func(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" },
		Now:   func() time.Time { return now },
	}
}

// ask sends a request to h and returns the answer. fields are names and values of its
// header.
func ask(h http.Handler, method, target string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "localhost:8025"
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "Host" {
			r.Host = fields[i+1]
			continue
		}
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// pdf is the attachment of mails that have one.
const pdf = "%PDF-1.7\n\x00\xff<script>alert(1)</script>"

// multipart returns a mail with a text and an attachment.
func multipart(text, file string) string {
	return "From: Anna\r\nSubject: Invoice <May>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" +
		"--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text + "\r\n" +
		"--x\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(file)) + "\r\n--x--\r\n"
}

// small is a store with one message that has two parts.
func small(t *testing.T) (*fakeStore, *index.Message) {
	t.Helper()
	s := &fakeStore{}
	m := s.add(&index.Message{
		MailFrom: "anna@example.com", RcptTo: []string{"bob@example.net"},
		Header:   index.Header{MessageID: "1@example.com", Subject: text("Invoice <May>"), From: mailboxOf("Anna Müller", "anna@example.com")},
		Parts:    []index.Part{{Number: "1", Type: "text/plain"}, {Number: "2", Type: "application/pdf", Disposition: "attachment", Name: text("Rechnung Mai.pdf")}},
		Verdicts: verdicts("pass"),
	}, multipart("Please pay <b>now</b>.", pdf))
	return s, m
}

func verdicts(result string) *pipeline.Verdicts {
	disposition := "accept"
	if result == "fail" {
		disposition = "quarantine"
	}
	return &pipeline.Verdicts{
		Disposition: disposition, SPF: pipeline.SPFVerdict{Result: result, Identity: "mailfrom", Domain: "example.com", Mechanism: "ip4:192.0.2.0/24", Helo: "none"},
		DKIM:  []pipeline.DKIMVerdict{{Domain: "example.com", Selector: "s2026", Algorithm: "rsa-sha256", Result: result}},
		DMARC: pipeline.DMARCVerdict{Result: result, From: "example.com", Policy: "quarantine", Disposition: "none", SPFAligned: result == "pass", DKIMAligned: result == "pass"},
		IPRev: pipeline.IPRevVerdict{Result: "pass", Name: "mail.example.com"},
	}
}

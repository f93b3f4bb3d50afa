package server

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/gateway/config"
	"sluice/internal/testkit"
)

func withIndex(c *config.Config) { c.Index.Store = config.IndexSQLite }

// found returns the ids of the messages that a search finds by the API.
func (r *running) found(t *testing.T, words string) (ids []string) {
	t.Helper()
	code, text := r.page(t, "/api/v1/messages?"+words)
	if code != http.StatusOK {
		return nil
	}
	var page struct{ Messages []struct{ ID string } }
	if err := json.Unmarshal([]byte(text), &page); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for _, m := range page.Messages {
		ids = append(ids, m.ID)
	}
	return ids
}

func (r *running) sendMail(t *testing.T, subject string) {
	t.Helper()
	s := r.dial(t)
	s.Begin()
	_, _ = io.WriteString(s.Conn, "Subject: "+subject+"\r\n\r\ntext\r\n.\r\nQUIT\r\n")
	s.Expect("250 2.0.0 Ok ", "221")
}

// TestIndexInside: a gateway on its own event log indexes its mail, and goes on where it
// ended.
func TestIndexInside(t *testing.T) {
	data := t.TempDir()
	inFolder := func(c *config.Config) { withIndex(c); c.DataDir = data }
	r := launch(t, inFolder)
	r.sendMail(t, "invoice one")
	testkit.Eventually(t, "it is found", func() bool { return len(r.found(t, "subject=invoice")) == 1 })
	if code, text := r.page(t, "/"); code != http.StatusOK || !strings.Contains(text, "invoice one") {
		t.Errorf("the page: %d, %s", code, text)
	}
	r.expectSample(t, `sluice_index_events_total{result="indexed"} 1`)
	r.page(t, "/messages/none")
	r.expectSample(t, `sluice_console_responses_total{code="404"} 1`)
	r.end(t)
	r = launch(t, inFolder)
	r.sendMail(t, "invoice two")
	testkit.Eventually(t, "both are found", func() bool { return len(r.found(t, "subject=invoice")) == 2 })
	r.end(t)
}

// TestIndexFails: what is wrong with the index does not touch mail.
func TestIndexFails(t *testing.T) {
	log := captureLog(t)
	r := launch(t, func(c *config.Config) {
		withIndex(c)
		if err := os.WriteFile(filepath.Join(c.DataDir, "index"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	testkit.Eventually(t, "the log says so", func() bool { return strings.Contains(log(), "the database of the index cannot be used") })
	r.sendMail(t, "x")
	r.expectSample(t, `sluice_index_outage{dependency="database"} 1`)
	if code, _ := r.page(t, "/api/v1/messages"); code != http.StatusServiceUnavailable {
		t.Errorf("a search: %d", code)
	}
	if err := os.Remove(filepath.Join(r.config.DataDir, "index")); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it is found", func() bool { return len(r.found(t, "subject=x")) == 1 })
	r.end(t)
}

// TestSearchesNeedAToken: an address that others reach has no searches without one.
func TestSearchesNeedAToken(t *testing.T) {
	const token = "0123456789abcdef"
	r := launch(t, func(c *config.Config) { withIndex(c); c.Admin.Address = "0.0.0.0:0" })
	_, port, _ := strings.Cut(strings.TrimPrefix(r.admin.Addr(), "[::]"), ":")
	at := "http://127.0.0.1:" + port
	for path, want := range map[string]int{"/": 200, "/api/v1/messages": 403, "/metrics": 200} {
		if code, text := pageOf(t, at+path); code != want || strings.Contains(text, "<form") {
			t.Errorf("%s: %d", path, code)
		}
	}
	next := *r.current.Load()
	next.Admin.Token = config.NewSecret(token)
	r.current.Store(&next) // as a reload does
	ask := func(token string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at+"/api/v1/messages", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := adminClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	testkit.Eventually(t, "the index is open", func() bool { return ask(token) == http.StatusOK })
	if code := ask("another token 12"); code != http.StatusUnauthorized {
		t.Errorf("a wrong token: %d", code)
	}
}

// TestHosts: a foreign name that resolves to this server is not one of its names.
func TestHosts(t *testing.T) {
	for _, c := range []struct {
		bound string
		yes   []string
		no    []string
	}{
		{"127.0.0.1:8025", []string{"localhost", "127.0.0.1"}, []string{"evil.example", "mx1.example.net", "127.0.0.2", ""}},
		{"[::1]:8025", []string{"localhost", "::1"}, []string{"evil.example", "127.0.0.1"}},
		{"10.0.0.5:8025", []string{"localhost", "10.0.0.5", "mx1.example.net"}, []string{"evil.example", "10.0.0.6"}},
		{"[::]:8025", []string{"localhost", "10.0.0.5", "::1", "mx1.example.net"}, []string{"evil.example"}},
	} {
		bound := boundAddress(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.bound)))
		for _, host := range c.yes {
			if !isOwn(host, bound, "MX1.example.net") {
				t.Errorf("%s: %q is refused", c.bound, host)
			}
		}
		for _, host := range c.no {
			if isOwn(host, bound, "MX1.example.net") {
				t.Errorf("%s: %q is taken", c.bound, host)
			}
		}
	}
}

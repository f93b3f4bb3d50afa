package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/index"
)

// TestParameters has a field for each word of a search, with its help.
func TestParameters(t *testing.T) {
	var names []string
	for _, f := range formOf(nil).Help() {
		names = append(names, f.Name)
		if f.Help == "" || f.Label == "" || f.Example == "" {
			t.Errorf("%+v", f)
		}
	}
	s, _ := small(t)
	page := ask(Handler(s.options()), "GET", "/").Body.String()
	for _, p := range index.Parameters {
		if p.Name != "limit" && p.Name != "cursor" && !strings.Contains(page, ` name="`+p.Name+`"`) {
			t.Errorf("%s is not among %q", p.Name, names)
		}
	}
}

// TestSearch finds by the words of a search and keeps them in the form.
func TestSearch(t *testing.T) {
	s := gallery()
	h := Handler(s.options())
	page := ask(h, "GET", "/?from=anna.mueller%40example.com&verdict=dmarc%3Dpass&verdict=spf%3Dpass&limit=7").Body.String()
	for _, want := range []string{
		`value="anna.mueller@example.com"`, `id="verdict-0" name="verdict" value="dmarc=pass"`, `id="verdict-1" name="verdict" value="spf=pass"`,
		`<details class="extra" open>`, `name="limit" value="7"`, "Offer for the pump station, second revision", "<time datetime=\"2026-11-28T09:22:47Z\">2026-11-28 09:22:47</time>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(page, "Build Robot") {
		t.Error("what was not searched")
	}
	for target, want := range map[string]string{
		"/?subject=nothing": "Nothing found", "/?subject=+": "Offer for the pump",
	} {
		if page := ask(h, "GET", target).Body.String(); !strings.Contains(page, want) {
			t.Errorf("%s: no %q", target, want)
		}
	}
	if page := ask(Handler((&fakeStore{}).options()), "GET", "/").Body.String(); !strings.Contains(page, "No mail yet") {
		t.Error("an empty index looks like another")
	}
}

// TestPages gets each message once by following the cursors, by links and by the API.
func TestPages(t *testing.T) {
	s := &fakeStore{}
	for i := range 120 {
		s.add(&index.Message{RcptTo: []string{"bob@example.net"}, Header: index.Header{Subject: text(fmt.Sprintf("number %d", i))}}, "a: b\r\n\r\n")
	}
	h := Handler(s.options())
	var got, want []string
	for _, m := range s.messages {
		want = append(want, m.ID.String())
	}
	pages := 0
	for target := "/?to=bob%40example.net&from="; target != ""; pages++ {
		_, body, _ := strings.Cut(ask(h, "GET", target).Body.String(), "<tbody")
		for _, link := range strings.Split(body, `href="/messages/`)[1:] {
			got = append(got, link[:36])
		}
		_, target, _ = strings.Cut(body, `<nav class="pages"`)
		if _, older, ok := strings.Cut(target, `" rel="next"`); !ok || older == "" {
			break
		}
		target, _, _ = strings.Cut(target, `" rel="next"`)
		target = strings.ReplaceAll(target[strings.LastIndex(target, `"`)+1:], "&amp;", "&")
		if !strings.Contains(target, "to=bob%40example.net") || strings.Contains(target, "from=") {
			t.Fatalf("the next page is %s", target)
		}
	}
	if !reflect.DeepEqual(got, want) || pages != 2 {
		t.Errorf("%d messages on %d pages", len(got), pages+1)
	}

	got = nil
	for cursor, last := "", false; !last; {
		w := ask(h, "GET", "/api/v1/messages?limit=70&cursor="+cursor)
		var page struct {
			Messages []struct{ ID string }
			Cursor   *string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || page.Cursor == nil || w.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("%v: %s", err, w.Body)
		}
		for _, m := range page.Messages {
			got = append(got, m.ID)
		}
		cursor, last = *page.Cursor, *page.Cursor == ""
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%d messages by the API", len(got))
	}
	for _, q := range s.finds {
		if q.Limit > atOnce {
			t.Errorf("%d rows at once", q.Limit)
		}
	}
}

// TestJSON has the rows as the index has them, and an empty list as one.
func TestJSON(t *testing.T) {
	s, m := small(t)
	h := Handler(s.options())
	row, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := ask(h, "GET", "/api/v1/messages").Body.String(), `{"messages":[`+string(row)+`],"cursor":""}`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := ask(h, "GET", "/api/v1/messages/"+m.ID.String()).Body.String(); got != string(row) {
		t.Error(got)
	}
	if got := ask(h, "GET", "/api/v1/messages?subject=x").Body.String(); got != `{"messages":[],"cursor":""}` {
		t.Error(got)
	}
}

// TestLargePage ends a page of the API early when its rows are large, with a cursor.
func TestLargePage(t *testing.T) {
	s := &fakeStore{}
	for range 75 {
		m := s.add(&index.Message{}, "a: b\r\n\r\n")
		m.Header.Subject.Text = strings.Repeat("x", 100<<10)
	}
	w := ask(Handler(s.options()), "GET", "/api/v1/messages?limit=1000")
	var raw struct{ Messages []json.RawMessage }
	if err := json.Unmarshal(w.Body.Bytes(), &raw); err != nil || w.Body.Len() > maxJSON+atOnce*150<<10 || len(raw.Messages) != 50 {
		t.Errorf("%d bytes, %d messages, %v", w.Body.Len(), len(raw.Messages), err)
	}
	if !strings.HasSuffix(w.Body.String(), `"cursor":"`+s.messages[49].ID.String()+`"}`) {
		t.Error("the cursor is not of the last message")
	}
}

// TestFaults answers each error with its status, in the form in which it was asked.
func TestFaults(t *testing.T) {
	s, m := small(t)
	h := Handler(s.options())
	id := m.ID.String()
	for _, c := range []struct {
		target string
		err    error
		status int
		text   string
		retry  bool
	}{
		{"?since=yesterday", nil, 400, "since: must be a time", false},
		{"?limit=0", nil, 400, "limit: must be a number", false},
		{"?x=y", nil, 400, "&#34;x&#34; is no word of a search", false},
		{"?from=%zz", nil, 400, "invalid URL escape", false},
		{"?cursor=x", nil, 400, "not a cursor of this index", false},
		{"", errors.New("connection refused"), 503, "connection refused", true},
		{"", fmt.Errorf("find: %w", context.DeadlineExceeded), 504, "took too long", true},
		{"/" + id, errors.New("connection refused"), 503, "connection refused", true},
		{"/x", nil, 404, "no id of a message", false},
		{"/" + strings.Repeat("0", 8) + id[8:], nil, 404, "no such message", false},
	} {
		s.err = c.err
		for _, prefix := range []string{"/api/v1/messages", "/messages"} {
			target := prefix + c.target
			if prefix == "/messages" && !strings.HasPrefix(c.target, "/") {
				target = "/" + c.target
			}
			w := ask(h, "GET", target)
			body, text := w.Body.String(), c.text
			if prefix != "/messages" {
				text = strings.ReplaceAll(text, "&#34;", `\"`)
			}
			if w.Code != c.status || !strings.Contains(body, text) || (w.Header().Get("Retry-After") != "") != c.retry {
				t.Errorf("%s: %d, want %d with %q: %s", target, w.Code, c.status, text, body)
			}
			protected(t, w.Header())
		}
		s.err = nil
	}
	w := ask(h, "GET", "/?since=yesterday&from=anna")
	if !strings.Contains(w.Body.String(), `value="anna"`) {
		t.Error("the form is lost")
	}
}

// TestQueriesAreBounded has a few searches run at once; the next are told to come back.
func TestQueriesAreBounded(t *testing.T) {
	s, _ := small(t)
	began, end := make(chan struct{}, maxQueries), make(chan struct{})
	s.wait = func(context.Context) { began <- struct{}{}; <-end }
	h := Handler(s.options())
	var wg sync.WaitGroup
	for range maxQueries {
		wg.Go(func() {
			if w := ask(h, "GET", "/"); w.Code != http.StatusOK {
				t.Errorf("%d", w.Code)
			}
		})
	}
	for range maxQueries {
		<-began
	}
	w := ask(h, "GET", "/api/v1/messages")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	close(end)
	wg.Wait()
	s.wait = nil
	if w := ask(h, "GET", "/"); w.Code != http.StatusOK {
		t.Errorf("afterwards: %d", w.Code)
	}
}

// TestSlowQuery stops a search that takes too long.
func TestSlowQuery(t *testing.T) {
	s, m := small(t)
	s.wait = func(ctx context.Context) { <-ctx.Done() }
	c := newConsole(s.options())
	c.queryTime = 10 * time.Millisecond
	for _, target := range []string{"/", "/api/v1/messages", "/messages/" + m.ID.String() + "/raw"} {
		if w := ask(c.handler(), "GET", target); w.Code != http.StatusGatewayTimeout {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
}

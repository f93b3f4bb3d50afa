package console

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"sluice/index"
	"sluice/pipeline"
)

// hostile sets every text of v to what runs, hides or reverses if it is shown as it is,
// and returns their number.
func hostile(v reflect.Value) (set int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202etxt.exe\u2066\x00\x1b[31m\u200b\r\n")
		return 1
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return hostile(v.Elem())
	case reflect.Struct:
		if _, ok := v.Interface().(time.Time); ok || v.Type() == reflect.TypeFor[netip.Addr]() {
			return 0
		}
		for i := range v.NumField() {
			set += hostile(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			set += hostile(v.Index(i))
		}
	}
	return set
}

// TestHostileTexts shows whatever a row may have as text, with what hides made visible.
func TestHostileTexts(t *testing.T) {
	m := &index.Message{}
	if n := hostile(reflect.ValueOf(m).Elem()); n < 80 {
		t.Errorf("only %d texts", n)
	}
	m.Verdicts.Skipped = ""
	skipped := &index.Message{Verdicts: &pipeline.Verdicts{Skipped: m.Gateway}}
	for i, m := range []*index.Message{m, skipped} {
		m.ID = pipeline.NewID(now, &counter{n: uint64(i)})
		s := &fakeStore{messages: []*index.Message{m}, open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("Subject: " + m.Gateway + "\r\n\r\n" + skipped.Verdicts.Skipped)), nil
		}}
		h := Handler(s.options())
		for _, target := range []string{"/", "/messages/" + m.ID.String()} {
			page := ask(h, "GET", target).Body.String()
			for _, bad := range []string{"<script>alert", "<img", "\u202e", "\u2066", "\u200b", "\x00", "\x1b", "\r"} {
				if at := strings.Index(page, bad); at >= 0 {
					t.Errorf("%s has %q: %q", target, bad, page[max(0, at-100):min(len(page), at+100)])
				}
			}
			if !strings.Contains(page, "[U&#43;202E]txt.exe") {
				t.Errorf("%s: what reverses is not to be seen", target)
			}
		}
	}
	s, _ := small(t)
	for _, target := range []string{"/?from=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "/?x=%3Cscript%3Ealert(1)", "/messages/%3Cscript%3Ealert(1)"} {
		if page := ask(Handler(s.options()), "GET", target).Body.String(); strings.Contains(page, "<script>alert") {
			t.Errorf("%s: %s", target, page)
		}
	}
}

// TestMessage shows what is known about a message, and what it says.
func TestMessage(t *testing.T) {
	s := gallery()
	h := Handler(s.options())
	page := ask(h, "GET", "/messages/"+s.messages[0].ID.String()).Body.String()
	for _, want := range []string{
		"Dear Bob,", "Received: from mail.example.com", "TLS_AES_128_GCM_SHA256", "mail.example.com", "192.0.2.25", "Kalkulation.xlsx", "47.1 KiB", "1.4 MiB",
		`href="/?message-id=20261128091402.4F2A1%40example.com"`, `href="/?message-id=20261127165500.11C0D%40example.net"`, "Reverse DNS", "policy quarantine", "aligned: SPF and DKIM",
		`href="/messages/` + s.messages[0].ID.String() + `/parts/1.2"`, "s3 mail/2026/11/28/47.tar",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
	page = ask(h, "GET", "/messages/"+s.messages[3].ID.String()).Body.String()
	if !strings.Contains(page, "306 more") || strings.Count(page, "member") != 318*2*2 {
		t.Errorf("%d of the recipients", strings.Count(page, "member"))
	}
	page = ask(h, "GET", "/messages/"+s.messages[1].ID.String()).Body.String()
	if !strings.Contains(page, "The header is malformed") || !strings.Contains(page, "It has no text.") {
		t.Error("no defect, or a text")
	}
	page = ask(h, "GET", "/messages/"+s.messages[2].ID.String()).Body.String()
	if !strings.Contains(page, "the client has proven who it is") {
		t.Error("not why it has no verdicts")
	}
}

// TestMessageWithoutStore shows what the index knows when the message cannot be read.
func TestMessageWithoutStore(t *testing.T) {
	s, m := small(t)
	for _, c := range []struct {
		err  error
		text string
	}{{fmt.Errorf("get: %w", fs.ErrNotExist), "no longer stored"}, {errors.New("connection refused"), "cannot be read now"}} {
		s.open = func() (io.ReadCloser, error) { return nil, c.err }
		w := ask(Handler(s.options()), "GET", "/messages/"+m.ID.String())
		if page := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(page, c.text) || !strings.Contains(page, "Rechnung Mai.pdf") {
			t.Errorf("%d: %s", w.Code, page)
		}
	}
}

// TestTextOfHalfMessage shows what came before the store failed, and that it did.
func TestTextOfHalfMessage(t *testing.T) {
	s, m := small(t)
	s.open = func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("Subject: half\r\n\r\nThe first line\r\n"), iotest.ErrReader(errors.New("reset")))), nil
	}
	page := ask(Handler(s.options()), "GET", "/messages/"+m.ID.String()).Body.String()
	for _, want := range []string{"cannot be read now", "Subject: half", "The first line"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
}

// TestLongText cuts what is shown of a text.
func TestLongText(t *testing.T) {
	s, m := small(t)
	s.bodies[m.Blob.Key] = "a: b\r\n\r\n" + strings.Repeat("long ", 1<<20)
	w := ask(Handler(s.options()), "GET", "/messages/"+m.ID.String())
	if n := w.Body.Len(); n > 2*maxShownText || !strings.Contains(w.Body.String(), "[…]") {
		t.Errorf("%d bytes", n)
	}
}

// TestVisible writes out what hides, and leaves what scripts need.
func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "plain", "a\u202eb": "a[U+202E]b", "\u0007\x1b\x7f\u0085": "␇␛[U+007F][U+0085]", "a\r\nb\tc": "a  b c",
		"\u200b\ufeff\u00ad\u2028\U000e0041":     "[U+200B][U+FEFF][U+00AD][U+2028][U+E0041]",
		"می\u200cخواهم 👩\u200d💻 \u0600":          "می\u200cخواهم 👩\u200d💻 \u0600",
		"e\u0301" + strings.Repeat("\u0300", 90): "e\u0301" + strings.Repeat("\u0300", 5),
		"\xff\xfe":                               "\uFFFD\uFFFD",
	} {
		if got := visible(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := visibleLines("a\r\nb\tc\x00\rd"); got != "a\nb\tc␀ d" {
		t.Errorf("%q", got)
	}
	if cut("請求書", 2) != "請求…" || cut("ab", 2) != "ab" {
		t.Error("cut")
	}
}

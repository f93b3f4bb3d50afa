package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestAdmission lets in who may, and tells the others why not. None reaches the index.
func TestAdmission(t *testing.T) {
	s, _ := small(t)
	o := s.options()
	token := ""
	o.Token = func() string { return token }
	answered := 0
	o.Answered = func(_ *http.Request, status int) { answered = status }
	for _, c := range []struct {
		name, method, target string
		token                string
		fields               []string
		status               int
		header               string // and its value
	}{
		{name: "loopback", target: "/", status: 200},
		{name: "loopback, IPv6", target: "/", fields: []string{"Host", "[::1]:8025"}, status: 200},
		{name: "loopback, no port", target: "/", fields: []string{"Host", "LOCALHOST"}, status: 200},
		{name: "rebound name", target: "/", fields: []string{"Host", "evil.example:8025"}, status: 421},
		{name: "name that begins well", target: "/", fields: []string{"Host", "localhost.evil.example"}, status: 421},
		{name: "empty host", target: "/api/v1/messages", fields: []string{"Host", ""}, status: 421},
		{name: "typed address", target: "/", fields: []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, status: 200},
		{name: "own link", target: "/", fields: []string{"Sec-Fetch-Site", "same-origin"}, status: 200},
		{name: "foreign script", target: "/api/v1/messages", fields: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, status: 403},
		{name: "foreign link", target: "/?from=x", fields: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, status: 403},
		{name: "other port of the host", target: "/", fields: []string{"Sec-Fetch-Site", "same-site"}, status: 403},
		{name: "foreign style sheet", target: "/console.css", fields: []string{"Sec-Fetch-Site", "cross-site"}, status: 403},
		{name: "own origin", target: "/", fields: []string{"Origin", "http://localhost:8025"}, status: 200},
		{name: "foreign origin", target: "/", fields: []string{"Origin", "https://evil.example"}, status: 403},
		{name: "origin of another port", target: "/", fields: []string{"Origin", "http://localhost:1"}, status: 403},
		{name: "no origin at all", target: "/", fields: []string{"Origin", "null"}, status: 403},
		{name: "POST", method: "POST", target: "/", status: 405, header: "Allow: GET, HEAD"},
		{name: "DELETE", method: "DELETE", target: "/api/v1/messages", status: 405, header: "Allow: GET, HEAD"},
		{name: "HEAD", method: "HEAD", target: "/", status: 200},
		{name: "no such page", target: "/nothing", status: 404},
		{name: "no such page of the API", target: "/api/v2/x", status: 404},
		{name: "no token", token: "secret", target: "/", status: 401, header: `WWW-Authenticate: Basic realm="Sluice", charset="UTF-8"`},
		{name: "no token, API", token: "secret", target: "/api/v1/messages", status: 401, header: `WWW-Authenticate: Bearer realm="Sluice"`},
		{name: "no token, file", token: "secret", target: "/console.js", status: 401},
		{name: "no token, not found", token: "secret", target: "/x", status: 401},
		{name: "bearer", token: "secret", target: "/api/v1/messages", fields: []string{"Authorization", "bearer secret"}, status: 200},
		{name: "basic", token: "secret", target: "/", fields: []string{"Authorization", "Basic YW55Ym9keTpzZWNyZXQ="}, status: 200},
		{name: "token as the name", token: "secret", target: "/", fields: []string{"Authorization", "Basic c2VjcmV0Og=="}, status: 401},
		{name: "wrong", token: "secret", target: "/", fields: []string{"Authorization", "Bearer secre"}, status: 401},
		{name: "empty", token: "secret", target: "/", fields: []string{"Authorization", "Bearer "}, status: 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			token = c.token
			if c.method == "" {
				c.method = "GET"
			}
			s.finds = nil
			w := ask(Handler(o), c.method, c.target, c.fields...)
			if w.Code != c.status || answered != c.status {
				t.Errorf("%d, seen as %d, want %d: %s", w.Code, answered, c.status, w.Body)
			}
			if name, value, ok := strings.Cut(c.header, ": "); ok && w.Header().Get(name) != value {
				t.Errorf("%s: %q", name, w.Header().Get(name))
			}
			if c.status != http.StatusOK && len(s.finds) > 0 {
				t.Error("it was searched")
			}
			protected(t, w.Header())
			if strings.HasPrefix(c.target, "/api/") && c.status != http.StatusOK {
				var body struct{ Error string }
				if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Error == "" {
					t.Errorf("%q: %v", w.Body, err)
				}
			}
		})
	}
}

// protected wants the header fields that every answer has.
func protected(t *testing.T, h http.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	csp := h.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("Content-Security-Policy: %q", csp)
	}
	if cache := h.Get("Cache-Control"); cache != "no-store" && h.Get("Etag") == "" {
		t.Errorf("Cache-Control: %q", cache)
	}
}

// TestForeignLink offers to go on from here, at this server and nowhere else.
func TestForeignLink(t *testing.T) {
	s, _ := small(t)
	h := Handler(s.options())
	for target, want := range map[string]string{
		"/?from=x&to=y":           `href="/?from=x&amp;to=y"`,
		"/%5Cevil.example/":       `href="/%5Cevil.example"`,
		"//evil.example/%2e%2e":   `href="/"`,
		"/messages/%22%3E%3Cb%3E": `href="/messages/%22%3E%3Cb%3E"`,
	} {
		w := ask(h, "GET", "http://localhost:8025"+target, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d without %s\n%s", target, w.Code, want, w.Body)
		}
	}
	if w := ask(h, "GET", "/?from=x", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"); strings.Contains(w.Body.String(), "from=x") {
		t.Error("a link for what is no navigation")
	}
}

// TestGuesses gives a client whose token was wrong one attempt a second, whatever it tries
// then, and others theirs.
func TestGuesses(t *testing.T) {
	s, _ := small(t)
	o := s.options()
	o.Token = func() string { return "secret" }
	at := now
	o.Now = func() time.Time { return at }
	h := Handler(o)
	const right, wrong = "Bearer secret", "Bearer x"
	for i, c := range []struct {
		value  string
		after  time.Duration
		status int
	}{
		{right, 0, 200}, {wrong, 0, 401}, {wrong, 999 * time.Millisecond, 429}, {right, 0, 429}, {right, time.Millisecond, 200}, {wrong, 0, 401},
	} {
		at = at.Add(c.after)
		w := ask(h, "GET", "/", "Authorization", c.value)
		if w.Code != c.status || (c.status == 429) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%d: %d, want %d, %v", i, w.Code, c.status, w.Header())
		}
	}
	if w := ask(h, "GET", "/"); w.Code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", w.Code)
	}
	a := &attempts{}
	for i := range 3 * maxAttempts {
		a.failed(netip.MustParsePrefix(fmt.Sprintf("10.%d.%d.0/32", i>>8, i&255)), now.Add(time.Duration(i)))
	}
	if len(a.next) > maxAttempts {
		t.Errorf("%d clients are remembered", len(a.next))
	}
	if !a.allowed(netip.MustParsePrefix("2001:db8::/64"), now) || a.allowed(netip.MustParsePrefix("10.11.255.0/32"), now) {
		t.Error("the wrong one waits")
	}
}

// TestClientOf counts a customer's network of IPv6 as one.
func TestClientOf(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:5": "192.0.2.1/32", "[::ffff:192.0.2.1]:5": "192.0.2.1/32", "[2001:db8:1:2:3::4]:5": "2001:db8:1:2::/64", "[fe80::1%eth0]:5": "fe80::/64",
	} {
		if got := clientOf(&http.Request{RemoteAddr: remote}).String(); got != want {
			t.Errorf("%s: %s", remote, got)
		}
	}
}

package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
)

// policy is the Content-Security-Policy of pages.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// protect sets the header fields that every answer has.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// admit returns why a request is not answered, or nil. h is the header of the answer.
func (c *console) admit(h http.Header, r *http.Request) error {
	if !c.Hosts(hostname(r.Host)) {
		return &fault{status: http.StatusMisdirectedRequest, text: "This server is not known by the name of that address.",
			hint: "Use the address that it listens on, or localhost."}
	}
	if foreign(r) {
		f := &fault{status: http.StatusForbidden, text: "Another site has sent this request."}
		if r.Header.Get("Sec-Fetch-Mode") == "navigate" {
			here := url.URL{Path: path.Clean("/" + r.URL.Path), RawQuery: r.URL.RawQuery}
			f.text, f.here = "A link on another site leads here.", here.String()
			f.hint = "Nothing was searched or read, so that no site can learn from this page. If you want to go on, do so from here."
		}
		return f
	}
	if err := c.authenticate(h, r); err != nil {
		return err
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		return &fault{status: http.StatusMethodNotAllowed, text: "Only GET and HEAD are allowed."}
	}
	return nil
}

// hostname returns the host of a Host field as Options.Hosts has it.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(host)
}

// foreign reports whether a page of another origin makes the browser send a request. All
// such are refused, also links to here: a site could measure how long a search takes.
// Browsers send Sec-Fetch-Site over TLS and to loopback only.
func foreign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || !strings.EqualFold(u.Host, r.Host)
}

// authenticate checks the token of a request: a Bearer token, or the password of Basic
// with any name.
func (c *console) authenticate(h http.Header, r *http.Request) error {
	want := c.Token()
	if want == "" {
		return nil
	}
	scheme := `Basic realm="Sluice", charset="UTF-8"`
	if strings.HasPrefix(r.URL.Path, "/api/") {
		scheme = `Bearer realm="Sluice"`
	}
	got, ok := credentials(r)
	if !ok {
		h.Set("WWW-Authenticate", scheme)
		return &fault{status: http.StatusUnauthorized, text: "A token is needed.",
			hint: "It is in the file that admin.token_file names. A browser takes it as the password, with any name."}
	}
	client, now := clientOf(r), c.Now()
	if !c.attempts.allowed(client, now) {
		return &fault{status: http.StatusTooManyRequests, text: "The token was wrong a moment ago.", hint: "Try again in a moment.", retry: true}
	}
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	if subtle.ConstantTimeCompare(a[:], b[:]) == 1 {
		return nil
	}
	c.attempts.failed(client, now)
	h.Set("WWW-Authenticate", scheme)
	return &fault{status: http.StatusUnauthorized, text: "The token is wrong."}
}

// credentials returns the token that a request has.
func credentials(r *http.Request) (token string, ok bool) {
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return token, ok && strings.EqualFold(scheme, "Bearer")
}

// clientOf returns who has sent a request: an IPv4 address, or a network of IPv6 that is
// one customer's.
func clientOf(r *http.Request) netip.Prefix {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	address := remote.Addr().Unmap().WithZone("")
	bits := 32
	if address.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(address, bits).Masked()
}

// attempts are the clients whose token was wrong. Each has one attempt a second; until
// then not even the right token is accepted, or waiting would cost a guesser nothing.
type attempts struct {
	mu   sync.Mutex
	next map[netip.Prefix]time.Time
}

const (
	attemptEvery = time.Second
	maxAttempts  = 1024 // clients that are remembered
)

// allowed reports whether a client may try now.
func (a *attempts) allowed(client netip.Prefix, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !now.Before(a.next[client])
}

// failed makes a client wait.
func (a *attempts) failed(client netip.Prefix, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next == nil {
		a.next = map[netip.Prefix]time.Time{}
	}
	if len(a.next) >= maxAttempts {
		var any netip.Prefix
		for c, t := range a.next {
			if any = c; !now.Before(t) {
				delete(a.next, c)
			}
		}
		delete(a.next, any)
	}
	a.next[client] = now.Add(attemptEvery)
}

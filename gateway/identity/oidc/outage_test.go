package oidc

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sluice/gateway/identity"
	"sluice/internal/testkit"
)

// silent never answers.
func silent(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then the end of the connection is seen
	<-r.Context().Done()
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func body(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

// TestOutages shows what each kind of trouble is called, that a provider in trouble never
// refuses anybody, and that it is asked again when the trouble is over.
func TestOutages(t *testing.T) {
	weak := must(rsa.GenerateKey(rand.Reader, 1024))
	document := func(issuer, token, keys string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, 200, map[string]string{"issuer": issuer, "token_endpoint": token, "jwks_uri": keys})
		}
	}
	keys := func(keys ...jose.JSONWebKey) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, 200, jose.JSONWebKeySet{Keys: keys}) }
	}
	const host = "https://login.microsoftonline.com"
	for _, test := range []struct {
		name, path string
		handler    http.HandlerFunc
		reason     identity.Reason
	}{
		{"silent", pathDiscovery, silent, identity.ReasonTimeout},
		{"slow", pathDiscovery, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Millisecond)
			}
		}, identity.ReasonTimeout},
		{"breaking off", pathDiscovery, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			identity.ReasonUnreachable},
		{"empty", pathDiscovery, status(200), identity.ReasonFailing},
		{"a page", pathDiscovery, body("<html>"), identity.ReasonFailing},
		{"too long", pathDiscovery, body(`{"issuer":"` + strings.Repeat("x", maxAnswer)), identity.ReasonFailing},
		{"500", pathDiscovery, status(500), identity.ReasonFailing},
		{"404", pathDiscovery, status(404), identity.ReasonFailing},
		{"429", pathDiscovery, status(429), identity.ReasonThrottled},
		{"other issuer", pathDiscovery, document("https://evil.example", host+pathToken, host+pathKeys),
			identity.ReasonMisconfigured},
		{"issuer of all tenants", pathDiscovery,
			document(host+"/common/v2.0", host+pathToken, host+pathKeys), identity.ReasonMisconfigured},
		{"keys without TLS", pathDiscovery, document(entraV2, host+pathToken, "http://login.microsoftonline.com/keys"),
			identity.ReasonMisconfigured},
		{"keys on this machine without TLS", pathDiscovery, document(entraV2, host+pathToken, "http://127.0.0.1/keys"),
			identity.ReasonMisconfigured},
		{"keys in a file", pathDiscovery, document(entraV2, host+pathToken, "file:///etc/passwd"),
			identity.ReasonMisconfigured},
		{"no keys named", pathDiscovery, document(entraV2, host+pathToken, ""), identity.ReasonMisconfigured},
		{"redirected to another host", pathDiscovery, http.RedirectHandler("https://id.example.com/x", http.StatusFound).ServeHTTP,
			identity.ReasonUnreachable},
		{"redirected in a circle", pathDiscovery, http.RedirectHandler("/x", http.StatusFound).ServeHTTP, identity.ReasonUnreachable},
		{"keys silent", pathKeys, silent, identity.ReasonTimeout},
		{"keys empty", pathKeys, status(200), identity.ReasonFailing},
		{"keys of nothing", pathKeys, body(`{}`), identity.ReasonFailing},
		{"no keys", pathKeys, keys(), identity.ReasonFailing},
		{"keys failing", pathKeys, status(503), identity.ReasonFailing},
		{"weak keys alone", pathKeys, keys(jose.JSONWebKey{Key: weak.Public(), KeyID: "rsa"}), identity.ReasonFailing},
		{"secret keys alone", pathKeys, keys(jose.JSONWebKey{Key: []byte("secret"), KeyID: "rsa"}), identity.ReasonFailing},
		{"too many keys", pathKeys, keys(make101()...), identity.ReasonFailing},
		{"keys of another tenant", pathKeys, body(fmt.Sprintf(`{"keys":[%s]}`, strings.Replace(
			string(must(jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "rsa"}.MarshalJSON())), "{",
			`{"issuer":"https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",`, 1))),
			identity.ReasonFailing},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStandin(t, entraV2)
			token, password := s.tokenBackend(t, nil), s.passwordBackend(t, nil)
			token.p.most, password.p.most = 50*time.Millisecond, 50*time.Millisecond
			if test.reason != identity.ReasonTimeout { // not to take a slow machine for a slow provider
				token.p.most, password.p.most = askTimeout, askTimeout
			}
			good := s.sign(jose.RS256, rsaKey(), "rsa", s.claims(nil))
			s.set(test.path, test.handler)
			for range 3 {
				expect(t, attempt(t.Context(), token, good), identity.Unavailable, test.reason)
				expect(t, attempt(t.Context(), password, "canary-password"), identity.Unavailable, test.reason)
			}
			if n := s.discoveries.Load(); n > 2 && test.name != "redirected in a circle" {
				t.Errorf("the provider was asked %d times", n)
			}
			if s.logins.Load() != 0 {
				t.Error("the provider got a password")
			}
			token.p.most, password.p.most = askTimeout, askTimeout
			s.set(test.path, nil)
			s.advance(defaultRetry)
			expect(t, attempt(t.Context(), token, good), identity.Accepted, "")
			expect(t, attempt(t.Context(), password, "canary-password"), identity.Accepted, "")
		})
	}
}

func make101() []jose.JSONWebKey {
	keys := make([]jose.JSONWebKey, maxKeys+1)
	for i := range keys {
		keys[i] = jose.JSONWebKey{Key: ecKey().Public(), KeyID: fmt.Sprint(i)}
	}
	return keys
}

// TestLoginOutages has the same for the request with the password.
func TestLoginOutages(t *testing.T) {
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		reason  identity.Reason
	}{
		{"silent", silent, identity.ReasonTimeout},
		{"breaking off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, identity.ReasonUnreachable},
		{"empty", status(200), identity.ReasonFailing},
		{"400 without a word", status(400), identity.ReasonFailing},
		{"401 of a proxy", status(407), identity.ReasonFailing},
		{"403 with a page", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(403)
			_, _ = w.Write([]byte("<html>"))
		}, identity.ReasonFailing},
		{"404", status(404), identity.ReasonFailing},
		{"500", status(500), identity.ReasonFailing},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStandin(t, entraV2)
			b := s.passwordBackend(t, nil)
			expect(t, attempt(t.Context(), b, "canary-password"), identity.Accepted, "")
			s.set(pathToken, test.handler)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if test.reason == identity.ReasonTimeout {
				ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
			}
			defer cancel()
			expect(t, attempt(ctx, b, "canary-password"), identity.Unavailable, test.reason)
			s.set(pathToken, nil)
			expect(t, attempt(t.Context(), b, "canary-password"), identity.Accepted, "")
		})
	}
}

// TestGone is a provider that nobody can connect to, or that is somebody else.
func TestGone(t *testing.T) {
	s := newStandin(t, entraV2)
	good := s.sign(jose.RS256, rsaKey(), "rsa", s.claims(nil))
	stranger := func(o *Options) { o.transport.(*http.Transport).TLSClientConfig.RootCAs = nil }
	expect(t, attempt(t.Context(), s.tokenBackend(t, stranger), good), identity.Unavailable, identity.ReasonUnreachable)
	expect(t, attempt(t.Context(), s.passwordBackend(t, stranger), "canary-password"), identity.Unavailable,
		identity.ReasonUnreachable)
	if s.logins.Load() != 0 {
		t.Error("somebody else got a password")
	}
	known := s.tokenBackend(t, nil)
	expect(t, attempt(t.Context(), known, good), identity.Accepted, "")
	s.server.Close()
	expect(t, attempt(t.Context(), s.tokenBackend(t, nil), good), identity.Unavailable, identity.ReasonUnreachable)
	expect(t, attempt(t.Context(), s.passwordBackend(t, nil), "canary-password"), identity.Unavailable,
		identity.ReasonUnreachable)
	expect(t, attempt(t.Context(), known, good), identity.Accepted, "")
}

// TestLastKeys outlive an outage of any length, and the log says so.
func TestLastKeys(t *testing.T) {
	s := newStandin(t, entraV2)
	var log bytes.Buffer
	b := s.tokenBackend(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	sign := func(kid string) string { return s.sign(jose.RS256, rsaKey(), kid, s.claims(nil)) }
	expect(t, attempt(t.Context(), b, sign("rsa")), identity.Accepted, "")
	b.p.most = 20 * time.Millisecond
	for _, handler := range []http.HandlerFunc{silent, status(500), body(`{"keys":[]}`)} {
		s.set(pathKeys, handler)
		s.advance(2 * maxAge)
		log.Reset()
		before := s.discoveries.Load()
		for range 5 {
			expect(t, attempt(t.Context(), b, sign("rsa")), identity.Accepted, "")
		}
		// On a machine that has much to do none may have arrived within the time.
		if n := s.discoveries.Load() - before; n > 1 || strings.Count(log.String(), "cannot be read again") != 1 {
			t.Errorf("asked %d times, the log is %q", n, log.String())
		}
		// Nobody can say whether this is a new key, so nobody is refused.
		if got := attempt(t.Context(), b, sign("new")); got.Verdict != identity.Unavailable {
			t.Errorf("verdict %d, %v", got.Verdict, got.Err)
		}
	}
	b.p.most = askTimeout
	s.set(pathKeys, nil)
	s.advance(askPause)
	expect(t, attempt(t.Context(), b, sign("new")), identity.Refused, identity.ReasonToken)
	expect(t, attempt(t.Context(), b, sign("rsa")), identity.Accepted, "")
}

// TestFloodOfKeys asks a provider once a minute, by one at a time, however many tokens
// name keys that nobody has, and does not let the others wait.
func TestFloodOfKeys(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.tokenBackend(t, nil)
	sign := func(kid string) string { return s.sign(jose.RS256, rsaKey(), kid, s.claims(nil)) }
	good := sign("rsa")
	expect(t, attempt(t.Context(), b, good), identity.Accepted, "")
	var asking, most atomic.Int64
	release := make(chan struct{})
	s.set(pathKeys, func(w http.ResponseWriter, _ *http.Request) {
		most.Store(max(most.Load(), asking.Add(1)))
		defer asking.Add(-1)
		<-release
		writeJSON(w, 200, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: rsaKey().Public(), KeyID: "rsa"}}})
	})
	s.advance(askPause)
	var all sync.WaitGroup
	for i := range 30 {
		token := sign(fmt.Sprint("random", i))
		all.Go(func() { expect(t, attempt(t.Context(), b, token), identity.Refused, identity.ReasonToken) })
	}
	testkit.Eventually(t, "somebody asks", func() bool { return asking.Load() == 1 })
	for range 10 {
		expect(t, attempt(t.Context(), b, good), identity.Accepted, "")
	}
	close(release)
	all.Wait()
	if n := s.keyReads.Load(); n != 2 || most.Load() != 1 {
		t.Errorf("read %d times, by %d at a time", n, most.Load())
	}
}

// TestFirstReaders wait for one of them, and each no longer than its own time.
func TestFirstReaders(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.tokenBackend(t, nil)
	good := s.sign(jose.RS256, rsaKey(), "rsa", s.claims(nil))
	release := make(chan struct{})
	s.set(pathDiscovery, func(w http.ResponseWriter, r *http.Request) {
		<-release
		writeJSON(w, 200, map[string]string{"issuer": entraV2, "jwks_uri": s.host() + pathKeys})
	})
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { expect(t, attempt(t.Context(), b, good), identity.Accepted, "") })
	}
	testkit.Eventually(t, "somebody asks", func() bool { return s.discoveries.Load() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	expect(t, attempt(ctx, b, good), identity.Unavailable, identity.ReasonTimeout)
	close(release)
	all.Wait()
	if s.discoveries.Load() != 1 || s.keyReads.Load() != 1 {
		t.Errorf("read %d and %d times", s.discoveries.Load(), s.keyReads.Load())
	}
}

// TestOwnTime does not take the end of an attempt's own time for trouble of the provider.
func TestOwnTime(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.tokenBackend(t, nil)
	good := s.sign(jose.RS256, rsaKey(), "rsa", s.claims(nil))
	s.set(pathDiscovery, silent)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	expect(t, attempt(ctx, b, good), identity.Unavailable, identity.ReasonTimeout)
	s.set(pathDiscovery, nil)
	expect(t, attempt(t.Context(), b, good), identity.Accepted, "")
}

// TestThrottledReading leaves a provider alone whose keys nobody may read for a while.
func TestThrottledReading(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.tokenBackend(t, nil)
	good := s.sign(jose.RS256, rsaKey(), "rsa", s.claims(nil))
	s.set(pathKeys, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	for range 5 {
		got := attempt(t.Context(), b, good)
		expect(t, got, identity.Unavailable, identity.ReasonThrottled)
		if got.RetryAfter != time.Minute {
			t.Errorf("to be left alone for %v", got.RetryAfter)
		}
		s.advance(10 * time.Second)
	}
	if s.keyReads.Load() != 1 {
		t.Errorf("asked %d times", s.keyReads.Load())
	}
	s.set(pathKeys, nil)
	s.advance(20 * time.Second)
	expect(t, attempt(t.Context(), b, s.sign(jose.RS256, rsaKey(), "rsa", s.claims(nil))), identity.Accepted, "")
}

// TestRedirects are followed on the provider's own host alone, with TLS.
func TestRedirects(t *testing.T) {
	s := newStandin(t, entraV2)
	good := s.sign(jose.RS256, rsaKey(), "rsa", s.claims(nil))
	for to, fine := range map[string]bool{
		"/other/keys": true, "https://login.microsoftonline.com/other": true,
		"http://login.microsoftonline.com/other": false, "https://id.example.com/other": false,
		"https://login.microsoftonline.com:444/other": false,
	} {
		s.set(pathDiscovery, func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, "/other") {
				http.Redirect(w, r, to, http.StatusFound)
				return
			}
			writeJSON(w, 200, map[string]string{"issuer": entraV2, "jwks_uri": s.host() + pathKeys})
		})
		got := attempt(t.Context(), s.tokenBackend(t, nil), good)
		if fine != (got.Verdict == identity.Accepted) || !fine && !errors.Is(got.Err, errRedirect) {
			t.Errorf("%s: verdict %d, %v", to, got.Verdict, got.Err)
		}
	}
}

// TestConnections bounds how many there are, and uses them again.
func TestConnections(t *testing.T) {
	s := newStandin(t, entraV2)
	var opened, open, most atomic.Int64
	o := s.options(t)
	transport := o.transport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		opened.Add(1)
		most.Store(max(most.Load(), open.Add(1)))
		conn, err := dial(ctx, network, address)
		return &counted{Conn: conn, open: &open}, err
	}
	b := must(NewPassword(o))
	var all sync.WaitGroup
	for range maxConns + 8 {
		all.Go(func() { expect(t, attempt(t.Context(), b, "canary-password"), identity.Accepted, "") })
	}
	all.Wait()
	if most.Load() > maxConns {
		t.Errorf("%d connections", most.Load())
	}
	before := opened.Load()
	for range 10 {
		expect(t, attempt(t.Context(), b, "canary-password"), identity.Accepted, "")
	}
	if opened.Load() != before {
		t.Errorf("%d connections for 10 attempts", opened.Load()-before)
	}
	_ = b.Close()
	testkit.Eventually(t, "connections are closed", func() bool { return open.Load() == 0 })
}

// counted counts connections that are open.
type counted struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

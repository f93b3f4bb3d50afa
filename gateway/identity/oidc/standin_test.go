package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sluice/gateway/identity"
)

const (
	tenantID = "11111111-2222-3333-4444-555555555555"
	entraV2  = "https://login.microsoftonline.com/" + tenantID + "/v2.0"
	entraV1  = "https://sts.windows.net/" + tenantID + "/"
	api      = "api://33333333-4444-5555-6666-777777777777"
	clientID = "22222222-3333-4444-5555-666666666666"
)

// rsaKey, ecKey and edKey are keys of the provider, the same ones for all tests.
var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	edKey  = sync.OnceValue(func() ed25519.PrivateKey {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return must(private, err)
	})
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// certificate is that of a provider at the names given, and the pool that vouches for it.
var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "provider"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"login.microsoftonline.com", "id.example.com"},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, ecKey().Public(), ecKey()))
	pool := x509.NewCertPool()
	pool.AddCert(must(x509.ParseCertificate(der)))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: ecKey()}, pool
})

// standin is a provider with Entra's documented answers.
type standin struct {
	issuer string
	server *httptest.Server
	clock  atomic.Int64 // how far the clock is ahead, in nanoseconds

	discoveries, keyReads, logins atomic.Int64

	mu       sync.Mutex
	keys     []jose.JSONWebKey
	override map[string]http.HandlerFunc // by path
	login    http.HandlerFunc
	form     map[string][]string // of the last login
	auth     string
}

// newStandin returns a provider whose issuer has the host of that URL.
func newStandin(t testing.TB, issuer string) *standin {
	s := &standin{issuer: issuer, override: map[string]http.HandlerFunc{}}
	s.keys = []jose.JSONWebKey{{Key: rsaKey().Public(), KeyID: "rsa", Use: "sig"}}
	s.login = s.password
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	pair, _ := certificate()
	s.server.EnableHTTP2 = true
	s.server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.server.StartTLS()
	t.Cleanup(s.server.Close)
	return s
}

// set makes a path answer in another way, nil for the usual one.
func (s *standin) set(path string, handler http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.override[path] = handler
}

func (s *standin) setKeys(keys ...jose.JSONWebKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
}

func (s *standin) now() time.Time { return time.Now().Add(time.Duration(s.clock.Load())) }

func (s *standin) advance(d time.Duration) { s.clock.Add(int64(d)) }

// Paths of a provider.
const (
	pathDiscovery = "discovery"
	pathKeys      = "/keys"
	pathToken     = "/token"
)

func (s *standin) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch path {
	case pathKeys:
		s.keyReads.Add(1)
	case pathToken:
		s.logins.Add(1)
	default:
		path = pathDiscovery
		s.discoveries.Add(1)
	}
	s.mu.Lock()
	handler, keys, login := s.override[path], s.keys, s.login
	s.mu.Unlock()
	switch {
	case r.ProtoMajor != 1: // a dead connection would be kept
		w.WriteHeader(http.StatusHTTPVersionNotSupported)
	case handler != nil:
		handler(w, r)
	case path == pathKeys:
		writeJSON(w, 200, map[string]any{"keys": keys})
	case path == pathToken:
		login(w, r)
	default:
		writeJSON(w, 200, map[string]any{
			"issuer": s.issuer, "token_endpoint": s.host() + pathToken, "jwks_uri": s.host() + pathKeys,
			"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
		})
	}
}

func (s *standin) host() string {
	u := must(http.NewRequest("GET", s.issuer, nil)).URL
	return u.Scheme + "://" + u.Host
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// entraError answers as Entra does; the description must not be looked at.
func entraError(w http.ResponseWriter, status int, name string, codes ...int) {
	code := 0
	if len(codes) > 0 {
		code = codes[0]
	}
	writeJSON(w, status, map[string]any{
		"error":             name,
		"error_description": fmt.Sprintf("AADSTS%d: text that changes. AADSTS50126 Trace ID: 0 canary-password", code),
		"error_codes":       codes,
		"timestamp":         "2026-11-27 19:00:00Z",
		"trace_id":          "0f7f9e56-0000-0000-0000-000000000000",
		"correlation_id":    "7a0f2ed9-0000-0000-0000-000000000000",
		"error_uri":         fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", code),
	})
}

// password answers a login: of alice with "canary-password".
func (s *standin) password(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	s.mu.Lock()
	s.form, s.auth = r.PostForm, r.Header.Get("Authorization")
	s.mu.Unlock()
	switch {
	case r.PostForm.Get("grant_type") != "password":
		entraError(w, 400, "unsupported_grant_type", 70003)
	case r.PostForm.Get("username") != "Alice@Example.com":
		entraError(w, 400, "invalid_grant", 50034)
	case r.PostForm.Get("password") != "canary-password":
		entraError(w, 400, "invalid_grant", 50126)
	default:
		writeJSON(w, 200, map[string]any{
			"token_type": "Bearer", "expires_in": 3599, "access_token": "opaque",
			"id_token": s.sign(jose.RS256, rsaKey(), "rsa", s.claims(map[string]any{
				"aud": clientID, "iss": s.issuer, "preferred_username": "alice@example.com", "upn": nil, "scp": nil,
			})),
		})
	}
}

// claims returns those of an access token that is in order, but for some. A nil takes one
// away.
func (s *standin) claims(but map[string]any) map[string]any {
	now := s.now().Unix()
	c := map[string]any{
		"iss": s.issuer, "aud": api, "exp": now + 3600, "nbf": now, "iat": now, "tid": tenantID,
		"upn": "alice@example.com", "scp": "SMTP.Send other", "sub": "1234", "azp": clientID,
	}
	for name, value := range but {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	return c
}

// sign returns a token.
func (s *standin) sign(alg jose.SignatureAlgorithm, private any, kid string, claims any) string {
	text, raw := claims.(string)
	if !raw {
		text = string(must(json.Marshal(claims)))
	}
	return signed(alg, private, map[jose.HeaderKey]any{"kid": kid, "typ": "JWT"}, text)
}

// forged returns a token with a header as it stands there, and with a signature that fits.
func forged(header, payload string) string {
	text := b64(header) + "." + b64(payload)
	digest := sha256.Sum256([]byte(text))
	return text + "." + b64(string(must(rsa.SignPKCS1v15(nil, rsaKey(), crypto.SHA256, digest[:]))))
}

func signed(alg jose.SignatureAlgorithm, private any, header map[jose.HeaderKey]any, payload string) string {
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: private}, &jose.SignerOptions{ExtraHeaders: header}))
	return must(must(signer.Sign([]byte(payload))).CompactSerialize())
}

// options returns those of backends that reach the stand-in, whatever host they ask for.
func (s *standin) options(t testing.TB) Options {
	transport := newTransport()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.server.Listener.Addr().String())
	}
	_, transport.TLSClientConfig.RootCAs = certificate()
	t.Cleanup(transport.CloseIdleConnections)
	return Options{
		Issuer: s.issuer, Audiences: []string{api}, ClientID: clientID, Scope: "openid profile",
		IdentityClaim: "upn", RequiredScopes: []string{"SMTP.Send"}, transport: transport, now: s.now,
	}
}

func (s *standin) tokenBackend(t testing.TB, edit func(*Options)) *Token {
	o := s.options(t)
	if edit != nil {
		edit(&o)
	}
	return must(NewToken(o))
}

func (s *standin) passwordBackend(t testing.TB, edit func(*Options)) *Password {
	o := s.options(t)
	if edit != nil {
		edit(&o)
	}
	return must(NewPassword(o))
}

// attempt returns the answer for alice.
func attempt(ctx context.Context, b identity.Backend, secret string) identity.Answer {
	return b.Authenticate(ctx, &identity.Attempt{
		Mechanism: "PLAIN", User: "Alice@Example.com", Secret: []byte(secret), Token: b.Tokens(),
		Client: netip.MustParseAddr("192.0.2.1"),
	})
}

// expect fails the test unless an answer has that verdict and reason.
func expect(t testing.TB, got identity.Answer, verdict identity.Verdict, reason identity.Reason) {
	t.Helper()
	if got.Verdict != verdict || got.Reason != reason {
		t.Errorf("verdict %d, reason %q (%v), want %d, %q", got.Verdict, got.Reason, got.Err, verdict, reason)
	}
	if verdict == identity.Accepted && got.Identity != "alice@example.com" {
		t.Errorf("accepted as %q", got.Identity)
	}
	if (verdict == identity.Accepted) != (got.Err == nil) || strings.Contains(fmt.Sprint(got.Err), "canary") {
		t.Errorf("the error is %v", got.Err)
	}
}

package oidc

import (
	"context"
	"encoding/base64"
	"math/big"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"sluice/gateway/identity"
	"sluice/gateway/identity/identitytest"
)

func TestTokenConformance(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.tokenBackend(t, nil)
	defer b.Close()
	good := s.sign(jose.RS256, rsaKey(), "rsa", s.claims(nil))
	cut := strings.LastIndexByte(good, '.')
	other := s.sign(jose.RS256, rsaKey(), "rsa", "{}")
	identitytest.Run(t, identitytest.Subject{
		Backend: b, User: "Alice@Example.com", Secret: good, Identity: "alice@example.com",
		Wrong:    good[:cut] + other[strings.LastIndexByte(other, '.'):],
		Stranger: "eve@example.com", StrangerVerdict: identity.Refused,
	})
}

// TestClaims has a row for each rule about what a token says.
func TestClaims(t *testing.T) {
	s := newStandin(t, entraV2)
	now := s.now().Unix()
	ok, no, unknown := identity.Accepted, identity.Refused, identity.Unknown
	type but = map[string]any
	for _, test := range []struct {
		name    string
		edit    func(*Options)
		but     but
		verdict identity.Verdict
		reason  identity.Reason
		text    string // in the error
	}{
		{"in order", nil, nil, ok, "", ""},
		{"v1", nil, but{"iss": entraV1}, ok, "", ""},
		{"v1 not among the issuers", func(o *Options) { o.Issuers = []string{entraV2} }, but{"iss": entraV1},
			unknown, identity.ReasonTokenIssuer, ""},
		{"other issuer", nil, but{"iss": "https://accounts.example.net"}, unknown, identity.ReasonTokenIssuer, ""},
		{"no issuer", nil, but{"iss": nil}, unknown, identity.ReasonTokenIssuer, ""},
		{"issuer twice", nil, but{"iss": []string{entraV2}}, unknown, identity.ReasonTokenIssuer, ""},
		{"issuer in upper case", nil, but{"iss": strings.ToUpper(entraV2)}, unknown, identity.ReasonTokenIssuer, ""},
		{"other tenant", nil, but{"tid": "99999999-2222-3333-4444-555555555555"}, no, identity.ReasonTokenIssuer, ""},
		{"no tenant", nil, but{"tid": nil}, no, identity.ReasonTokenIssuer, ""},

		{"audiences", nil, but{"aud": []string{"x", api}}, ok, "", ""},
		{"other audience", nil, but{"aud": "api://other"}, no, identity.ReasonTokenAudience, ""},
		{"audience that begins alike", nil, but{"aud": api + "/"}, no, identity.ReasonTokenAudience, ""},
		{"no audience", nil, but{"aud": nil}, no, identity.ReasonTokenAudience, ""},
		{"audience of numbers", nil, but{"aud": []int{1}}, no, identity.ReasonTokenAudience, ""},
		{"Graph", nil, but{"iss": entraV1, "aud": "00000003-0000-0000-c000-000000000000"}, no,
			identity.ReasonTokenAudience, "Microsoft Graph; the client has to ask for the scope " + api + "/SMTP.Send"},
		{"Graph by its URL", nil, but{"aud": "https://graph.microsoft.com/"}, no, identity.ReasonTokenAudience, "Graph"},
		{"Outlook", nil, but{"aud": "https://outlook.office.com"}, no, identity.ReasonTokenAudience, api + "/SMTP.Send"},
		{"Outlook, for an API by its ID", func(o *Options) { o.Audiences, o.RequiredScopes = []string{"id"}, nil },
			but{"aud": "https://outlook.office365.com"}, no, identity.ReasonTokenAudience, "api://id/.default"},

		{"expired within the leeway", nil, but{"exp": now - 50}, ok, "", ""},
		{"expired", nil, but{"exp": now - 61}, no, identity.ReasonTokenExpired, "ago"},
		{"no end", nil, but{"exp": nil}, no, identity.ReasonToken, ""},
		{"end as a string", nil, but{"exp": "4102444800"}, no, identity.ReasonToken, ""},
		{"end as a fraction", nil, but{"exp": float64(now) + 3600.5}, ok, "", ""},
		{"end that is huge", nil, but{"exp": 1e300}, no, identity.ReasonToken, ""},
		{"end that overflows", nil, but{"exp": uint64(1) << 63}, no, identity.ReasonToken, ""},
		{"negative end", nil, but{"exp": -1}, no, identity.ReasonToken, ""},
		{"end that is true", nil, but{"exp": true}, no, identity.ReasonToken, ""},
		{"not yet, within the leeway", nil, but{"nbf": now + 50}, ok, "", ""},
		{"not yet", nil, but{"nbf": now + 70}, no, identity.ReasonTokenExpired, "not valid yet"},
		{"beginning as a string", nil, but{"nbf": "0"}, no, identity.ReasonToken, ""},
		{"no beginning", nil, but{"nbf": nil, "iat": nil}, ok, "", ""},
		{"issued soon", nil, but{"iat": now + 300}, ok, "", ""},
		{"issued in the far future", nil, but{"iat": now + 3600}, no, identity.ReasonTokenExpired, "future"},
		{"issued as a list", nil, but{"iat": []int{1}}, no, identity.ReasonToken, ""},

		{"scope of RFC 9068", nil, but{"scp": nil, "scope": "mail SMTP.Send"}, ok, "", ""},
		{"scopes as a list", nil, but{"scp": []string{"SMTP.Send"}}, ok, "", ""},
		{"scope that begins alike", nil, but{"scp": "SMTP.SendAll"}, no, identity.ReasonTokenScope, "SMTP.Send"},
		{"scope in lower case", nil, but{"scp": "smtp.send"}, no, identity.ReasonTokenScope, ""},
		{"no scope", nil, but{"scp": nil}, no, identity.ReasonTokenScope, "role SMTP.Send"},
		{"role of an application", nil, but{"scp": nil, "roles": []string{"SMTP.Send"}}, ok, "", ""},
		{"role of a user without the scope", nil, but{"scp": "x", "roles": []string{"SMTP.Send"}}, no,
			identity.ReasonTokenScope, ""},
		{"empty scope, and a role", nil, but{"scp": "", "roles": []string{"SMTP.Send"}}, no, identity.ReasonTokenScope, ""},
		{"two scopes", func(o *Options) { o.RequiredScopes = []string{"SMTP.Send", "other"} }, nil, ok, "", ""},
		{"one of two scopes", func(o *Options) { o.RequiredScopes = []string{"SMTP.Send", "third"} }, nil, no,
			identity.ReasonTokenScope, "third"},

		{"case of the user", nil, but{"upn": "ALICE@EXAMPLE.COM"}, ok, "", ""},
		{"other user", nil, but{"upn": "eve@example.com"}, no, identity.ReasonTokenIdentity, ""},
		{"user that begins alike", nil, but{"upn": "alice@example.com.net"}, no, identity.ReasonTokenIdentity, ""},
		{"no user", nil, but{"upn": nil}, no, identity.ReasonTokenIdentity, `"upn"`},
		{"user that is a list", nil, but{"upn": []string{"alice@example.com"}}, no, identity.ReasonTokenIdentity, ""},
		{"user of another claim", nil, but{"upn": nil, "preferred_username": "alice@example.com"}, no,
			identity.ReasonTokenIdentity, ""},
		{"user in another case of the claim", nil, but{"upn": nil, "UPN": "alice@example.com"}, no,
			identity.ReasonTokenIdentity, ""},
		{"mail of which nobody says that it is verified", byEmail, but{"email": "alice@example.com"}, no,
			identity.ReasonTokenIdentity, "not verified"},
		{"mail that is verified, in other words", byEmail, but{"email": "alice@example.com", "email_verified": true}, no,
			identity.ReasonTokenIdentity, "not verified"},
		{"mail of a verified domain", byEmail, but{"email": "alice@example.com", "xms_edov": true}, ok, "", ""},
		{"mail of a verified domain, as a number", byEmail, but{"email": "alice@example.com", "xms_edov": 1}, ok, "", ""},
		{"mail of a verified domain, as a text", byEmail, but{"email": "alice@example.com", "xms_edov": "1"}, ok, "", ""},
		{"mail of an unverified domain, as a number", byEmail, but{"email": "alice@example.com", "xms_edov": 0}, no,
			identity.ReasonTokenIdentity, ""},
		{"mail of an unverified domain, as a text", byEmail, but{"email": "alice@example.com", "xms_edov": "0"}, no,
			identity.ReasonTokenIdentity, ""},

		{"ID token", anyScope, but{"scp": nil, "azp": nil, "nonce": "1"}, no, identity.ReasonToken, "ID token"},
		{"ID token with a role", nil, but{"scp": nil, "azp": nil, "roles": []string{"SMTP.Send"}}, no, identity.ReasonToken, "ID token"},
		{"client of v1", nil, but{"iss": entraV1, "azp": nil, "appid": clientID}, ok, "", ""},
		{"ID token with a hash", anyScope, but{"at_hash": "x"}, no, identity.ReasonToken, "ID token"},
		{"ID token with a code's hash", anyScope, but{"c_hash": "x"}, no, identity.ReasonToken, "ID token"},
		{"logout", anyScope, but{"events": but{}}, no, identity.ReasonToken, ""},
		{"bearer of Keycloak", nil, but{"typ": "Bearer"}, ok, "", ""},
		{"ID token of Keycloak", anyScope, but{"typ": "ID"}, no, identity.ReasonToken, "ID token"},
		{"bound to a key", nil, but{"cnf": but{"jkt": "x"}}, no, identity.ReasonToken, "cnf"},
		{"capital that becomes a letter of ASCII", nil, but{"upn": "al\u0130ce@example.com"}, no, identity.ReasonTokenIdentity, ""},
		{"mail that is not verified", byEmail, but{"email": "alice@example.com", "email_verified": false}, no,
			identity.ReasonTokenIdentity, "not verified"},
		{"mail that is not verified, in words", byEmail, but{"email": "alice@example.com", "email_verified": "False"}, no,
			identity.ReasonTokenIdentity, ""},
		{"mail of an unverified domain", byEmail, but{"email": "alice@example.com", "xms_edov": false}, no,
			identity.ReasonTokenIdentity, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := s.tokenBackend(t, test.edit)
			defer b.Close()
			got := attempt(t.Context(), b, s.sign(jose.RS256, rsaKey(), "rsa", s.claims(test.but)))
			expect(t, got, test.verdict, test.reason)
			if test.text != "" && !strings.Contains(got.Err.Error(), test.text) {
				t.Errorf("%q lacks %q", got.Err, test.text)
			}
			if test.verdict == ok && !strings.Contains(got.Issuer, tenantID) {
				t.Errorf("issuer %q", got.Issuer)
			}
		})
	}
}

func anyScope(o *Options) { o.RequiredScopes = nil }

func byEmail(o *Options) { o.IdentityClaim = "email" }

// TestForeignTokens are refused for their audience before their signature and whatever the
// provider is doing: that of a token for Graph can be checked by Graph alone.
func TestForeignTokens(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.tokenBackend(t, nil)
	s.set(pathDiscovery, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	graph := s.sign(jose.RS256, rsaKey(), "rsa", s.claims(map[string]any{"aud": "https://graph.microsoft.com"}))
	expect(t, attempt(t.Context(), b, graph[:len(graph)-8]+"AAAAAAAA"), identity.Refused, identity.ReasonTokenAudience)
	if s.discoveries.Load() != 0 {
		t.Error("the provider was asked")
	}
}

// TestOtherProvider is one that is not Entra, on this machine and without TLS.
func TestOtherProvider(t *testing.T) {
	s := newStandin(t, "https://id.example.com/realms/company/")
	b := s.tokenBackend(t, func(o *Options) { o.IdentityClaim = "sub" })
	token := s.sign(jose.RS256, rsaKey(), "rsa", s.claims(map[string]any{"tid": nil, "sub": "alice@example.com"}))
	expect(t, attempt(t.Context(), b, token), identity.Accepted, "")
	other := s.sign(jose.RS256, rsaKey(), "rsa", s.claims(map[string]any{"iss": s.issuer[:len(s.issuer)-1]}))
	expect(t, attempt(t.Context(), b, other), identity.Unknown, identity.ReasonTokenIssuer)
	// Many providers do not say whether a mail address was verified.
	b = s.tokenBackend(t, byEmail)
	for verified, verdict := range map[any]identity.Verdict{
		nil: identity.Accepted, true: identity.Accepted, "true": identity.Accepted, 1: identity.Accepted,
		false: identity.Refused, "no": identity.Refused, 0: identity.Refused,
	} {
		token := s.sign(jose.RS256, rsaKey(), "rsa", s.claims(map[string]any{
			"tid": nil, "azp": nil, "email": "alice@example.com", "email_verified": verified,
		}))
		if got := attempt(t.Context(), b, token); got.Verdict != verdict {
			t.Errorf("email_verified %v: verdict %d, %v", verified, got.Verdict, got.Err)
		}
	}
}

// TestTypes refuses tokens whose header says that they are for something else.
func TestTypes(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.tokenBackend(t, nil)
	for typ, want := range map[string]identity.Verdict{
		"JWT": identity.Accepted, "at+jwt": identity.Accepted, "application/at+jwt": identity.Accepted,
		"logout+jwt": identity.Refused, "dpop+jwt": identity.Refused, "secevent+jwt": identity.Refused,
	} {
		token := signed(jose.RS256, rsaKey(), map[jose.HeaderKey]any{"kid": "rsa", "typ": typ}, string(must(jsonOf(s.claims(nil)))))
		if got := attempt(t.Context(), b, token); got.Verdict != want {
			t.Errorf("%s: verdict %d, %v", typ, got.Verdict, got.Err)
		}
	}
}

// TestAlgorithms accepts what is allowed, by a key that fits.
func TestAlgorithms(t *testing.T) {
	s := newStandin(t, entraV2)
	s.setKeys(
		jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "rsa", Use: "sig"},
		jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "rsa-pss", Use: "sig", Algorithm: "PS256"},
		jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "rsa-enc", Use: "enc"},
		jose.JSONWebKey{Key: ecKey().Public(), KeyID: "ec"},
		jose.JSONWebKey{Key: edKey().Public(), KeyID: "ed"},
	)
	b := s.tokenBackend(t, nil)
	for _, test := range []struct {
		alg jose.SignatureAlgorithm
		key any
		kid string
		ok  bool
	}{
		{jose.RS256, rsaKey(), "rsa", true}, {jose.RS384, rsaKey(), "rsa", true}, {jose.RS512, rsaKey(), "rsa", true},
		{jose.PS256, rsaKey(), "rsa", true}, {jose.PS384, rsaKey(), "rsa", true}, {jose.PS512, rsaKey(), "rsa", true},
		{jose.ES256, ecKey(), "ec", true}, {jose.EdDSA, edKey(), "ed", true},
		{jose.PS256, rsaKey(), "rsa-pss", true}, {jose.RS256, rsaKey(), "rsa-pss", false},
		{jose.RS256, rsaKey(), "rsa-enc", false},
		{jose.RS256, rsaKey(), "ec", false}, {jose.ES256, ecKey(), "rsa", false}, {jose.EdDSA, edKey(), "ec", false},
	} {
		got := attempt(t.Context(), b, s.sign(test.alg, test.key, test.kid, s.claims(nil)))
		if want := map[bool]identity.Verdict{true: identity.Accepted, false: identity.Refused}[test.ok]; got.Verdict != want {
			t.Errorf("%s by %s: verdict %d, %v", test.alg, test.kid, got.Verdict, got.Err)
		}
	}
}

// TestRotation follows a provider that changes its keys, once a minute at most.
func TestRotation(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.tokenBackend(t, nil)
	old := s.sign(jose.RS256, rsaKey(), "rsa", s.claims(nil))
	expect(t, attempt(t.Context(), b, old), identity.Accepted, "")
	s.setKeys(jose.JSONWebKey{Key: ecKey().Public(), KeyID: "ec"})
	fresh := s.sign(jose.ES256, ecKey(), "ec", s.claims(nil))
	expect(t, attempt(t.Context(), b, fresh), identity.Refused, identity.ReasonToken)
	if n := s.keyReads.Load(); n != 1 {
		t.Errorf("read %d times within a minute", n)
	}
	s.advance(askPause)
	expect(t, attempt(t.Context(), b, fresh), identity.Accepted, "")
	expect(t, attempt(t.Context(), b, old), identity.Refused, identity.ReasonToken)
	if n := s.keyReads.Load(); n != 2 {
		t.Errorf("read %d times", n)
	}
	// A key that was withdrawn is forgotten within the hour, without a token that asks.
	s.setKeys(jose.JSONWebKey{Key: edKey().Public(), KeyID: "ed"})
	s.advance(maxAge)
	fresh = s.sign(jose.ES256, ecKey(), "ec", s.claims(nil))
	expect(t, attempt(t.Context(), b, fresh), identity.Refused, identity.ReasonToken)
}

// TestOneKey is for tokens that do not name one.
func TestOneKey(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.tokenBackend(t, nil)
	nameless := signed(jose.RS256, rsaKey(), nil, string(must(jsonOf(s.claims(nil)))))
	expect(t, attempt(t.Context(), b, nameless), identity.Accepted, "")
	for _, kid := range []any{nil, "", 1, []string{"rsa"}} {
		odd := signed(jose.RS256, rsaKey(), map[jose.HeaderKey]any{"kid": kid}, string(must(jsonOf(s.claims(nil)))))
		expect(t, attempt(t.Context(), b, odd), identity.Refused, identity.ReasonToken)
	}
	s.setKeys(jose.JSONWebKey{Key: ecKey().Public(), KeyID: "ec"}, jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "rsa"})
	expect(t, attempt(t.Context(), s.tokenBackend(t, nil), nameless), identity.Refused, identity.ReasonToken)
}

// TestLongToken refuses what is too long before it looks at it.
func TestLongToken(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.tokenBackend(t, nil)
	for size, verdict := range map[int]identity.Verdict{4000: identity.Accepted, 6500: identity.Refused} {
		token := s.sign(jose.RS256, rsaKey(), "rsa", s.claims(map[string]any{"groups": strings.Repeat("g", size)}))
		if got := attempt(t.Context(), b, token); got.Verdict != verdict {
			t.Errorf("%d bytes: verdict %d, %v", len(token), got.Verdict, got.Err)
		}
	}
}

// TestReadKeys leaves out keys that are for something else, too weak or too large, and
// whatever else stands in a set.
func TestReadKeys(t *testing.T) {
	modulus := func(bits uint) string {
		n := new(big.Int).SetBit(new(big.Int), int(bits-1), 1)
		return base64.RawURLEncoding.EncodeToString(n.SetBit(n, 0, 1).Bytes())
	}
	rsa := func(bits uint, more string) string {
		return `{"kty":"RSA","e":"AQAB","n":"` + modulus(bits) + `"` + more + `}`
	}
	ec := string(must(jose.JSONWebKey{Key: ecKey().Public(), KeyID: "ec"}.MarshalJSON()))
	for _, test := range []struct {
		name, key string
		ok        bool
	}{
		{"RSA", rsa(2048, ""), true},
		{"for signatures", rsa(2048, `,"use":"sig"`), true},
		{"with certificates that are broken", rsa(2048, `,"x5c":["x"],"x5t":"y"`), true},
		{"weak", rsa(2047, ""), false},
		{"large", rsa(4096, ""), true},
		{"too large", rsa(4097, ""), false},
		{"for encryption", rsa(2048, `,"use":"enc"`), false},
		{"longer than a key", rsa(2048, `,"x5c":"`+strings.Repeat("x", maxKey)+`"`), false},
		{"of another issuer", rsa(2048, `,"issuer":"other"`), false},
		{"EC", ec, true},
		{"EC, not on the curve", strings.Replace(ec, `"x":"`, `"x":"AA`, 1), false},
		{"a secret", `{"kty":"oct","k":"AAAA"}`, false},
		{"of an unknown kind", `{"kty":"XYZ"}`, false},
		{"of no kind", `{}`, false},
		{"a number", `1`, false},
		{"null", `null`, false},
	} {
		// A key that cannot be used does not hinder the others.
		keys, err := readKeys([]byte(`{"keys":[`+test.key+`,`+ec+`]}`), func(issuer string) bool { return issuer == "" })
		if want := map[bool]int{true: 2, false: 1}[test.ok]; err != nil || len(keys) != want {
			t.Errorf("%s: %d keys, %v", test.name, len(keys), err)
		}
	}
}

// TestUserOfMechanism compares the user with the token, not with the client's word alone.
func TestUserOfMechanism(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.tokenBackend(t, nil)
	token := []byte(s.sign(jose.RS256, rsaKey(), "rsa", s.claims(map[string]any{"upn": "alice@example.com\n"})))
	got := b.Authenticate(context.Background(), &identity.Attempt{
		Mechanism: "XOAUTH2", User: "alice@example.com\n", Secret: token, Token: true, Client: netip.IPv6Loopback(),
	})
	expect(t, got, identity.Refused, identity.ReasonTokenIdentity)
	if s.discoveries.Load() != 0 {
		t.Error("the provider was asked")
	}
}

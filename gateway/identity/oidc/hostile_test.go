package oidc

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"sluice/gateway/identity"
)

func jsonOf(v any) ([]byte, error) { return json.Marshal(v) }

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// TestHostileTokens refuses tokens that were made to be believed.
func TestHostileTokens(t *testing.T) {
	s := newStandin(t, entraV2)
	s.setKeys(jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "rsa"}, jose.JSONWebKey{Key: ecKey().Public(), KeyID: "ec"})
	b := s.tokenBackend(t, nil)
	payload := string(must(jsonOf(s.claims(nil))))
	good := s.sign(jose.RS256, rsaKey(), "rsa", payload)
	expect(t, attempt(t.Context(), b, good), identity.Accepted, "")
	parts := strings.Split(good, ".")

	pem := string(must(x509.MarshalPKIXPublicKey(rsaKey().Public())))
	own := jose.JSONWebKey{Key: edKey().Public(), KeyID: "evil"}
	header := func(h map[jose.HeaderKey]any) string { return signed(jose.EdDSA, edKey(), h, payload) }
	rs := func(h map[jose.HeaderKey]any) string { return signed(jose.RS256, rsaKey(), h, payload) }
	encrypter := must(jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: jose.RSA_OAEP, Key: rsaKey().Public()}, nil))
	duplicate := func(extra string) string {
		return s.sign(jose.RS256, rsaKey(), "rsa", "{"+extra+","+payload[1:])
	}
	for name, token := range map[string]string{
		"alg none":                       b64(`{"alg":"none","kid":"rsa"}`) + "." + parts[1] + ".",
		"alg none, signed":               b64(`{"alg":"none","kid":"rsa"}`) + "." + parts[1] + "." + parts[2],
		"alg None":                       b64(`{"alg":"None","kid":"rsa"}`) + "." + parts[1] + "." + parts[2],
		"no alg":                         forged(`{"kid":"rsa"}`, payload),
		"alg of a number":                forged(`{"alg":256,"kid":"rsa"}`, payload),
		"alg twice":                      forged(`{"alg":"none","alg":"RS256","kid":"rsa"}`, payload),
		"HS256 with the public key":      signed(jose.HS256, []byte(pem), map[jose.HeaderKey]any{"kid": "rsa"}, payload),
		"HS256 with the modulus":         signed(jose.HS256, rsaKey().N.Bytes(), map[jose.HeaderKey]any{"kid": "rsa"}, payload),
		"other key under the same name":  signed(jose.ES256, ecKey(), map[jose.HeaderKey]any{"kid": "rsa"}, payload),
		"a key of its own":               header(map[jose.HeaderKey]any{"kid": "evil", "jwk": own}),
		"a key of its own, by our name":  header(map[jose.HeaderKey]any{"kid": "rsa", "jwk": own}),
		"a key at an address":            header(map[jose.HeaderKey]any{"kid": "evil", "jku": s.server.URL + "/evil"}),
		"a certificate at an address":    header(map[jose.HeaderKey]any{"kid": "evil", "x5u": s.server.URL + "/evil"}),
		"kid as a path":                  header(map[jose.HeaderKey]any{"kid": "../../../../dev/null"}),
		"kid as SQL":                     header(map[jose.HeaderKey]any{"kid": "x' UNION SELECT 'key"}),
		"kid as an array":                rs(map[jose.HeaderKey]any{"kid": []string{"rsa"}}),
		"kid null":                       rs(map[jose.HeaderKey]any{"kid": nil}),
		"kid empty":                      rs(map[jose.HeaderKey]any{"kid": ""}),
		"kid with a NUL":                 rs(map[jose.HeaderKey]any{"kid": "rsa\x00"}),
		"crit":                           forged(`{"alg":"RS256","kid":"rsa","crit":["exp"],"exp":1}`, payload),
		"crit that is empty":             forged(`{"alg":"RS256","kid":"rsa","crit":[]}`, payload),
		"crit of null":                   forged(`{"alg":"RS256","kid":"rsa","crit":null}`, payload),
		"payload that is not encoded":    forged(`{"alg":"RS256","kid":"rsa","b64":false,"crit":["b64"]}`, payload),
		"kid twice":                      forged(`{"alg":"RS256","kid":"ec","kid":"rsa"}`, payload),
		"garbage behind the header":      forged(`{"alg":"RS256","kid":"rsa"}{}`, payload),
		"nested":                         rs(map[jose.HeaderKey]any{"kid": "rsa", "cty": "JWT"}),
		"encrypted":                      must(must(encrypter.Encrypt([]byte(good))).CompactSerialize()),
		"enc in the header":              rs(map[jose.HeaderKey]any{"kid": "rsa", "enc": "A128GCM"}),
		"signature taken away":           parts[0] + "." + parts[1] + ".",
		"signature and dot taken away":   parts[0] + "." + parts[1],
		"signature cut":                  good[:len(good)-4],
		"signature of zeros":             parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"payload taken away":             parts[0] + ".." + parts[2],
		"header taken away":              "." + parts[1] + "." + parts[2],
		"payload exchanged":              parts[0] + "." + b64(strings.Replace(payload, "other", "admin", 1)) + "." + parts[2],
		"garbage behind":                 good + "AAAA",
		"a part behind":                  good + ".AAAA",
		"a dot behind":                   good + ".",
		"a line end behind":              good + "\n",
		"a line end within":              good[:40] + "\n" + good[40:],
		"a blank before":                 " " + good,
		"padded":                         good + "==",
		"other bits in the end":          parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-1] + last(parts[2]),
		"base64 of another alphabet":     parts[0] + "." + parts[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(parts[2]) + "+",
		"not base64":                     parts[0] + "." + parts[1] + ".\xff\xff",
		"garbage behind the claims":      s.sign(jose.RS256, rsaKey(), "rsa", payload+"{}"),
		"claims twice":                   s.sign(jose.RS256, rsaKey(), "rsa", payload+payload),
		"no claims":                      s.sign(jose.RS256, rsaKey(), "rsa", "null"),
		"claims of an array":             s.sign(jose.RS256, rsaKey(), "rsa", "["+payload+"]"),
		"claims of a string":             s.sign(jose.RS256, rsaKey(), "rsa", `"x"`),
		"claims that are no JSON":        s.sign(jose.RS256, rsaKey(), "rsa", "x"),
		"user twice":                     duplicate(`"upn":"eve@example.com"`),
		"issuer twice":                   duplicate(`"iss":"https://evil.example"`),
		"audience twice":                 duplicate(`"aud":"x"`),
		"end twice":                      duplicate(`"exp":4102444800`),
		"deep":                           duplicate(`"x":` + strings.Repeat("[", 1000) + `1` + strings.Repeat("]", 999)),
		"JSON serialization":             must(jose.ParseSignedCompact(good, algorithms)).FullSerialize(),
		"long":                           good + strings.Repeat("A", identity.MaxSecret),
		"dots":                           strings.Repeat(".", identity.MaxSecret),
		"an opaque token":                "EwBwA8l6BAAU" + strings.Repeat("x", 1000),
		"nothing but a kid of 8 KiB":     b64(`{"alg":"RS256","kid":"`+strings.Repeat("k", 5000)+`"}`) + "." + parts[1] + "." + parts[2],
		"header that is an array":        forged(`["RS256"]`, payload),
		"the same, with upper case ALG":  forged(`{"ALG":"RS256","kid":"rsa"}`, payload),
		"signature of another algorithm": b64(`{"alg":"PS256","kid":"rsa"}`) + "." + parts[1] + "." + parts[2],
	} {
		got := attempt(t.Context(), b, token)
		if got.Verdict != identity.Refused || got.Reason != identity.ReasonToken {
			t.Errorf("%s: verdict %d, reason %q, %v", name, got.Verdict, got.Reason, got.Err)
		}
		if text := fmt.Sprint(got.Err); strings.Contains(text, "evil") || len(text) > 200 {
			t.Errorf("%s: %s", name, text)
		}
	}
	if s.discoveries.Load() != 1 || s.keyReads.Load() != 1 {
		t.Errorf("the provider was asked %d and %d times", s.discoveries.Load(), s.keyReads.Load())
	}
	// What does not matter does not hinder.
	expect(t, attempt(t.Context(), b, forged(`{"alg":"RS256","kid":"rsa","KID":"ec","x":"none"}`, payload)),
		identity.Accepted, "")
	ignored := rs(map[jose.HeaderKey]any{"kid": "rsa", "jku": s.server.URL + "/evil", "jwk": own, "x5t": "x", "typ": "at+jwt"})
	expect(t, attempt(t.Context(), b, ignored), identity.Accepted, "")
}

// last returns the last character of a signature with other bits that nobody needs.
func last(signature string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	at := strings.IndexByte(alphabet, signature[len(signature)-1])
	return alphabet[at^1 : at^1+1]
}

// FuzzToken shows that no token but the good one is accepted, and that none breaks the
// parser.
func FuzzToken(f *testing.F) {
	s := newStandin(f, entraV2)
	b := s.tokenBackend(f, nil)
	good := s.sign(jose.RS256, rsaKey(), "rsa", s.claims(nil))
	parts := strings.Split(good, ".")
	for _, seed := range []string{
		good, parts[0] + "." + parts[1] + ".", b64(`{"alg":"none"}`) + "." + parts[1] + ".", "a.b.c", "...", "",
		b64(`{"alg":"RS256","kid":"rsa","crit":["x"]}`) + "." + parts[1] + "." + parts[2],
		b64(`{"alg":"RS256","kid":"rsa"}`) + "." + b64(`{"iss":"`+entraV2+`","exp":1e999}`) + ".AAAA",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, secret []byte) {
		got := attempt(t.Context(), b, string(secret))
		if accepted := got.Verdict == identity.Accepted; accepted != (string(secret) == good) {
			t.Errorf("%q: verdict %d, %v", secret, got.Verdict, got.Err)
		}
		if got.Verdict == identity.Unavailable {
			t.Errorf("%q: %v", secret, got.Err)
		}
	})
}

package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// provider is an OpenID Connect provider on loopback that signs what it is told to.
type provider struct {
	*httptest.Server
	key *rsa.PrivateKey
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{key: key}
	mux := http.NewServeMux()
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	answer := func(path string, value any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(value)
		})
	}
	answer("/.well-known/openid-configuration", map[string]string{
		"issuer": p.URL, "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
	})
	answer("/keys", map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "kid": "one", "use": "sig", "n": base64URL(key.N.Bytes()), "e": base64URL(big.NewInt(int64(key.E)).Bytes()),
	}}})
	return p
}

func base64URL(octets []byte) string { return base64.RawURLEncoding.EncodeToString(octets) }

// settings returns keys of the section auth for its tokens.
func (p *provider) settings() string {
	return fmt.Sprintf("oidc: {issuer: %q, audiences: [\"api://sluice\"], required_scopes: [SMTP.Send]}", p.URL)
}

// token returns a token of a user.
func (p *provider) token(t *testing.T, user string) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{
		"iss": p.URL, "aud": "api://sluice", "exp": time.Now().Add(time.Hour).Unix(), "upn": user, "scp": "SMTP.Send", "sub": "1",
	})
	if err != nil {
		t.Fatal(err)
	}
	text := base64URL([]byte(`{"alg":"RS256","kid":"one","typ":"JWT"}`)) + "." + base64URL(claims)
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, p.key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64URL(signature)
}

package oidc

import (
	"net/http"
	"testing"

	"sluice/gateway/identity"
)

// TestTooOften has Entra throttle one user, which anybody can bring about: others are asked
// about all the same.
func TestTooOften(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.passwordBackend(t, nil)
	s.set(pathToken, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "300")
		entraError(w, 400, "invalid_grant", 50196)
	})
	got := attempt(t.Context(), b, "canary-password")
	expect(t, got, identity.Unavailable, identity.ReasonThrottled)
	if got.RetryAfter != 0 {
		t.Errorf("all wait for %v", got.RetryAfter)
	}
	s.set(pathToken, nil)
	expect(t, attempt(t.Context(), b, "canary-password"), identity.Accepted, "")
}

// TestIdentityOfPassword does without the claim that says who a user is only where it is a
// name to sign in with, which the client gave.
func TestIdentityOfPassword(t *testing.T) {
	s := newStandin(t, "https://id.example.com/realms/company")
	for _, test := range []struct {
		claim   string
		but     map[string]any
		verdict identity.Verdict
	}{
		{"upn", nil, identity.Accepted},
		{"email", map[string]any{"email": "alice@example.com"}, identity.Accepted},
		{"email", nil, identity.Refused},
		{"email", map[string]any{"email": "bob@example.com", "email_verified": false}, identity.Refused},
		{"sub", map[string]any{"sub": nil}, identity.Refused},
		{"upn", map[string]any{"upn": 7}, identity.Refused},
	} {
		b := s.passwordBackend(t, func(o *Options) { o.IdentityClaim = test.claim })
		c := s.claims(map[string]any{"aud": clientID, "upn": nil, "preferred_username": "Alice@example.com", "tid": nil})
		for name, value := range test.but {
			c[name] = value
		}
		s.set(pathToken, func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, 200, map[string]any{"access_token": "opaque", "id_token": s.sign("RS256", rsaKey(), "rsa", c)})
		})
		if got := attempt(t.Context(), b, "canary-password"); got.Verdict != test.verdict {
			t.Errorf("%s, %v: verdict %d as %q, %v", test.claim, test.but, got.Verdict, got.Identity, got.Err)
		}
	}
}

package oidc

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/gateway/identity"
	"sluice/gateway/identity/identitytest"
)

func TestPasswordConformance(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.passwordBackend(t, nil)
	defer b.Close()
	identitytest.Run(t, identitytest.Subject{
		Backend: b, User: "Alice@Example.com", Secret: "canary-password", Identity: "alice@example.com",
		Wrong: "canary-passphrase", Stranger: "eve@example.com", StrangerVerdict: identity.Unknown,
	})
}

// TestErrors has a row for each error of a provider that has a meaning.
func TestErrors(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.passwordBackend(t, nil)
	type row struct {
		status int
		name   string
		codes  []int
		want   verdict
	}
	rows := []row{
		{400, "invalid_grant", []int{50034}, unknownUser},
		{400, "invalid_grant", []int{51004}, unknownUser},
		{400, "invalid_grant", []int{50020}, unknownUser},
		{400, "invalid_grant", []int{90072}, unknownUser},
		{400, "invalid_request", []int{50029}, unknownUser},
		{400, "invalid_request", []int{50059}, unknownUser},
		{400, "invalid_request", []int{50128}, unknownUser},
		{400, "invalid_grant", []int{50126}, wrongPassword},
		{400, "invalid_grant", []int{50056}, wrongPassword},
		{400, "invalid_grant", []int{50053}, locked},
		{400, "invalid_grant", []int{50055}, expired},
		{400, "invalid_grant", []int{50144}, expired},
		{400, "invalid_grant", []int{50057}, disabled},
		{400, "invalid_grant", []int{50105}, notPermitted},
		{400, "invalid_grant", []int{50072}, secondFactor},
		{400, "invalid_grant", []int{50074}, secondFactor},
		{400, "invalid_grant", []int{50076}, secondFactor},
		{400, "interaction_required", []int{50076}, secondFactor},
		{400, "invalid_grant", []int{50079}, secondFactor},
		{400, "invalid_grant", []int{50158}, secondFactor},
		{400, "invalid_grant", []int{530032}, notPermitted},
		{400, "invalid_grant", []int{530035}, notPermitted},
		{400, "invalid_grant", []int{50033}, failing},
		{400, "invalid_grant", []int{50196}, throttled},
		{400, "invalid_request", []int{90006}, failing},
		{400, "invalid_request", []int{90012}, failing},
		{400, "invalid_request", []int{90024}, failing},
		{400, "temporarily_unavailable", []int{90033}, failing},
		{400, "invalid_request", []int{90055}, throttled},
		{400, "invalid_grant", []int{65001}, misconfigured},
		{400, "unauthorized_client", []int{70001}, misconfigured},
		{400, "unauthorized_client", []int{700016}, misconfigured},
		{401, "invalid_client", []int{7000215}, misconfigured},
		{401, "invalid_client", []int{7000218}, misconfigured},
		{401, "invalid_client", []int{7000222}, misconfigured},
		{400, "invalid_request", []int{90002}, misconfigured},
		{400, "invalid_request", []int{9001023}, misconfigured},
		// The first code that is known decides, whatever error is.
		{400, "invalid_grant", []int{1, 50076, 50126}, secondFactor},
		{400, "an error nobody knows", []int{50126}, wrongPassword},
		// Other providers, and codes that are not known.
		{400, "invalid_grant", nil, wrongPassword},
		{401, "invalid_grant", nil, wrongPassword},
		{400, "invalid_grant", []int{1234567}, otherRefusal},
		{400, "interaction_required", nil, secondFactor},
		{400, "login_required", nil, otherRefusal},
		{400, "access_denied", nil, notPermitted},
		{401, "invalid_client", nil, misconfigured},
		{400, "unauthorized_client", nil, misconfigured},
		{400, "invalid_request", nil, misconfigured},
		{400, "unsupported_grant_type", nil, misconfigured},
		{400, "invalid_scope", nil, misconfigured},
		{400, "invalid_resource", nil, misconfigured},
		{400, "invalid_target", nil, misconfigured},
		{400, "consent_required", nil, misconfigured},
		{400, "server_error", nil, failing},
		{400, "temporarily_unavailable", nil, failing},
		{400, "slow_down", nil, throttled},
		{400, "an error nobody knows", nil, failing},
		{400, "", nil, failing},
		// Whatever a server in trouble says about the user is not taken from it.
		{500, "invalid_grant", []int{50126}, failing},
		{503, "invalid_grant", []int{50126}, failing},
		{504, "", nil, failing},
	}
	for code := 53000; code <= 53011; code++ {
		rows = append(rows, row{400, "invalid_grant", []int{code}, notPermitted})
	}
	for code := 80001; code <= 80014; code++ {
		rows = append(rows, row{400, "invalid_grant", []int{code}, failing})
	}
	// No trouble of the provider or of ours is a refusal, and no refusal is trouble.
	for verdict, kinds := range map[identity.Verdict][]verdict{
		identity.Unknown:     {unknownUser},
		identity.Refused:     {wrongPassword, locked, disabled, expired, notPermitted, secondFactor, otherRefusal},
		identity.Unavailable: {throttled, failing, misconfigured},
	} {
		for _, kind := range kinds {
			if kind.verdict != verdict {
				t.Errorf("%s: verdict %d, want %d", kind.reason, kind.verdict, verdict)
			}
		}
	}
	covered := map[string]bool{}
	for _, row := range rows {
		s.set(pathToken, func(w http.ResponseWriter, _ *http.Request) { entraError(w, row.status, row.name, row.codes...) })
		got := attempt(t.Context(), b, "canary-password")
		if got.Verdict != row.want.verdict || got.Reason != row.want.reason {
			t.Errorf("%d %s %v: verdict %d, reason %q (%v), want %v", row.status, row.name, row.codes,
				got.Verdict, got.Reason, got.Err, row.want)
		}
		if text := fmt.Sprint(got.Err); strings.Contains(text, "canary") || strings.Contains(text, "Trace") {
			t.Errorf("%s has the description", text)
		}
		covered[row.name] = true
		for _, code := range row.codes {
			covered[fmt.Sprint(code)] = true
		}
	}
	for name := range byError {
		if !covered[name] {
			t.Errorf("%s has no row", name)
		}
	}
	for code := range byCode {
		if !covered[fmt.Sprint(code)] {
			t.Errorf("%d has no row", code)
		}
	}
}

// TestThrottled leaves a provider alone for as long as it wants.
func TestThrottled(t *testing.T) {
	for _, test := range []struct {
		name, value string
		status      int
		reason      identity.Reason
		wait        time.Duration
	}{
		{"seconds", "30", 429, identity.ReasonThrottled, 30 * time.Second},
		{"a date", "date", 429, identity.ReasonThrottled, 40 * time.Second},
		{"no value", "", 429, identity.ReasonThrottled, defaultRetry},
		{"no sense", "soon", 429, identity.ReasonThrottled, defaultRetry},
		{"negative", "-5", 429, identity.ReasonThrottled, defaultRetry},
		{"nothing", "0", 429, identity.ReasonThrottled, leastRetry},
		{"too long", "99999999999", 429, identity.ReasonThrottled, mostRetry},
		{"down", "20", 503, identity.ReasonFailing, 20 * time.Second},
		{"an error of OAuth", "25", 400, identity.ReasonThrottled, 25 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStandin(t, entraV2)
			b := s.passwordBackend(t, nil)
			s.set(pathToken, func(w http.ResponseWriter, _ *http.Request) {
				value := test.value
				if value == "date" {
					value = s.now().Add(40 * time.Second).UTC().Format(http.TimeFormat)
				}
				if value != "" {
					w.Header().Set("Retry-After", value)
				}
				name := "temporarily_unavailable"
				if test.status == http.StatusBadRequest {
					name = "slow_down"
				}
				entraError(w, test.status, name)
			})
			got := attempt(t.Context(), b, "canary-password")
			expect(t, got, identity.Unavailable, test.reason)
			if off := test.wait - got.RetryAfter; off < 0 || off > 2*time.Second {
				t.Errorf("to be left alone for %v", got.RetryAfter)
			}
			got = attempt(t.Context(), b, "canary-password")
			expect(t, got, identity.Unavailable, identity.ReasonThrottled)
			if n := s.logins.Load(); n != 1 || got.RetryAfter <= 0 {
				t.Errorf("asked %d times, to be left alone for %v", n, got.RetryAfter)
			}
			s.advance(test.wait + time.Second)
			s.set(pathToken, nil)
			expect(t, attempt(t.Context(), b, "canary-password"), identity.Accepted, "")
		})
	}
}

// TestSuccessIsChecked takes a 200 for nothing but what it has.
func TestSuccessIsChecked(t *testing.T) {
	s := newStandin(t, entraV2)
	id := func(but map[string]any) string {
		c := s.claims(map[string]any{"aud": clientID, "upn": nil, "preferred_username": "alice@example.com", "scp": nil, "azp": nil})
		for name, value := range but {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
		return fmt.Sprintf(`{"access_token":"opaque","id_token":%q}`, s.sign("RS256", rsaKey(), "rsa", c))
	}
	ok, failed := identity.Accepted, identity.Unavailable
	for _, test := range []struct {
		name, body, scope string
		verdict           identity.Verdict
		reason            identity.Reason
	}{
		{"in order", id(nil), "", ok, ""},
		{"empty", "", "", failed, identity.ReasonFailing},
		{"a page", "<html>signed in</html>", "", failed, identity.ReasonFailing},
		{"no token", "{}", "", failed, identity.ReasonFailing},
		{"an error", `{"error":"invalid_grant","error_codes":[50126]}`, "", failed, identity.ReasonFailing},
		{"too long", `{"access_token":"` + strings.Repeat("a", maxAnswer) + `"}`, "", failed, identity.ReasonFailing},
		{"no ID token", `{"access_token":"opaque"}`, "", failed, identity.ReasonFailing},
		{"no ID token asked for", `{"access_token":"opaque"}`, "offline", ok, ""},
		{"no JWT", `{"access_token":"opaque","id_token":"a.b"}`, "", failed, identity.ReasonFailing},
		{"of another issuer", id(map[string]any{"iss": entraV1}), "", failed, identity.ReasonFailing},
		{"of another tenant", id(map[string]any{"tid": "x"}), "", failed, identity.ReasonFailing},
		{"for another client", id(map[string]any{"aud": api}), "", failed, identity.ReasonFailing},
		{"for two", id(map[string]any{"aud": []string{api, clientID}}), "", failed, identity.ReasonFailing},
		{"for two, from us", id(map[string]any{"aud": []string{api, clientID}, "azp": clientID}), "", ok, ""},
		{"expired", id(map[string]any{"exp": 1}), "", failed, identity.ReasonFailing},
		{"of another user", id(map[string]any{"preferred_username": "eve@example.com"}), "",
			identity.Refused, identity.ReasonTokenIdentity},
		{"of another upn, and our mail", id(map[string]any{"email": "ALICE@example.com", "preferred_username": nil,
			"upn": "alice@example.com"}), "", ok, ""},
		{"of no name", id(map[string]any{"preferred_username": nil}), "", ok, ""},
		{"signed by nobody", strings.Replace(id(nil), "RS256", "none", 1)[:300] + `"}`, "", failed, identity.ReasonFailing},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := s.passwordBackend(t, func(o *Options) {
				if test.scope != "" {
					o.Scope = test.scope
				}
			})
			s.set(pathToken, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(test.body)) })
			got := attempt(t.Context(), b, "canary-password")
			expect(t, got, test.verdict, test.reason)
			if test.verdict == ok && got.Issuer != entraV2 {
				t.Errorf("issuer %q", got.Issuer)
			}
		})
	}
}

// TestClientSecret sends the secret that the file has now, where the provider wants it.
func TestClientSecret(t *testing.T) {
	s := newStandin(t, entraV2)
	file := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first&secret\n")
	b := s.passwordBackend(t, func(o *Options) { o.ClientSecretFile = file })
	for _, secret := range []string{"first&secret", "second"} {
		write(secret + "\r\n")
		expect(t, attempt(t.Context(), b, "canary-password"), identity.Accepted, "")
		if got := s.form["client_secret"]; len(got) != 1 || got[0] != secret || s.form["client_id"][0] != clientID {
			t.Errorf("the provider got %q", s.form)
		}
	}
	for _, bad := range []string{"", "two\nlines\n"} {
		write(bad)
		expect(t, attempt(t.Context(), b, "canary-password"), identity.Unavailable, identity.ReasonMisconfigured)
	}
	write("third")
	s.set(pathDiscovery, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, 200, map[string]any{
			"issuer": s.issuer, "token_endpoint": s.host() + pathToken, "jwks_uri": s.host() + pathKeys,
		})
	})
	b = s.passwordBackend(t, func(o *Options) { o.ClientSecretFile = file })
	expect(t, attempt(t.Context(), b, "canary-password"), identity.Accepted, "")
	if user, secret, _ := (&http.Request{Header: http.Header{"Authorization": {s.auth}}}).BasicAuth(); user != clientID ||
		secret != "third" || s.form["client_secret"] != nil {
		t.Errorf("the provider got %q and %q", s.auth, s.form)
	}
}

// TestPasswordForm sends every byte as it is.
func TestPasswordForm(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.passwordBackend(t, nil)
	var every []byte
	for c := 1; c < 0x80; c++ {
		every = append(every, byte(c))
	}
	secret := string(every) + "é€😀"
	expect(t, attempt(t.Context(), b, secret), identity.Refused, identity.ReasonWrongPassword)
	if got := s.form["password"]; len(got) != 1 || got[0] != secret {
		t.Errorf("the provider got %q", got)
	}
	if got := s.form["scope"][0]; got != "openid profile" {
		t.Errorf("the scope is %q", got)
	}
	if len(s.form) != 5 {
		t.Errorf("the form is %q", s.form)
	}
	before := s.logins.Load()
	expect(t, attempt(t.Context(), b, "\xff"), identity.Refused, identity.ReasonRefused)
	if s.logins.Load() != before {
		t.Error("the provider was asked about a password that is not UTF-8")
	}
}

// TestRedirectedLogin sends no password to where the provider redirects.
func TestRedirectedLogin(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.passwordBackend(t, nil)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s.set(pathToken, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/keys", status)
		})
		expect(t, attempt(t.Context(), b, "canary-password"), identity.Unavailable, identity.ReasonFailing)
	}
	if n := s.keyReads.Load(); n != 1 {
		t.Errorf("%d redirects were followed", n-1)
	}
}

// TestWipe leaves nothing of a form, also while somebody reads it.
func TestWipe(t *testing.T) {
	var f form
	f.add("user", []byte("alice"))
	f.add("password", []byte("canary"))
	text := f.text
	r := f.reader()
	if n, _ := r.Read(make([]byte, 3)); n != 3 {
		t.Fatal("nothing was read")
	}
	f.wipe()
	if n, err := r.Read(make([]byte, 3)); n != 0 || err == nil {
		t.Errorf("read %d, %v", n, err)
	}
	if strings.Trim(string(text), "\x00") != "" {
		t.Errorf("%q is left", text)
	}
}

// bodies keeps the bodies that were sent.
type bodies struct {
	http.RoundTripper
	sent []*formReader
}

func (b *bodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if body, ok := r.Body.(*formReader); ok {
		b.sent = append(b.sent, body)
	}
	return b.RoundTripper.RoundTrip(r)
}

// TestSentIsWiped leaves nothing of a request, whatever came of it.
func TestSentIsWiped(t *testing.T) {
	s := newStandin(t, entraV2)
	kept := &bodies{}
	b := s.passwordBackend(t, func(o *Options) {
		kept.RoundTripper = o.transport
		o.transport = kept
	})
	expect(t, attempt(t.Context(), b, "canary-password"), identity.Accepted, "")
	s.set(pathToken, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	expect(t, attempt(t.Context(), b, "canary-password"), identity.Unavailable, identity.ReasonUnreachable)
	if len(kept.sent) < 2 {
		t.Fatalf("%d requests", len(kept.sent))
	}
	for _, body := range kept.sent {
		if body.form.text != nil {
			t.Error("a form is left")
		}
	}
}

// TestClosedConnection tries a connection that the provider closed just now once more.
func TestClosedConnection(t *testing.T) {
	s := newStandin(t, entraV2)
	b := s.passwordBackend(t, nil)
	expect(t, attempt(t.Context(), b, "canary-password"), identity.Accepted, "")
	s.server.CloseClientConnections()
	for range 10 {
		expect(t, attempt(context.Background(), b, "canary-password"), identity.Accepted, "")
		s.server.CloseClientConnections()
	}
}

package oidc

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"sluice/gateway/identity"
	"sluice/gateway/identity/identitytest"
	"sluice/internal/testkit"
)

// providerModules returns the folder into which .ci/tools installs the providers.
func providerModules(t *testing.T) string {
	var manifest struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	if err := json.Unmarshal(must(os.ReadFile("../../../.ci/oidc-provider/package.json")), &manifest); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(must(os.UserCacheDir()), "sluice", "oidc-provider-"+manifest.Dependencies["oidc-provider"])
	if _, err := os.Stat(filepath.Join(dir, "installed-"+manifest.Dependencies["oauth2-mock-server"])); err != nil {
		testkit.Missing(t, err.Error()+" (make tools installs it)")
	}
	return filepath.Join(dir, "node_modules")
}

// realProvider is node-oidc-provider in a process of its own.
type realProvider struct {
	t      *testing.T
	issuer string
	in     io.WriteCloser
	out    *bufio.Scanner
	log    testkit.Buffer
}

// startProvider starts the provider with a key of that name, which begins with its kind.
func startProvider(t *testing.T, kid string) *realProvider {
	p := startScript(t, "testdata/provider.mjs")
	p.renew(kid)
	return p
}

// startScript starts a provider, which waits for its first key.
func startScript(t *testing.T, script string) *realProvider {
	if testing.Short() {
		t.Skip("it starts a provider")
	}
	modules := providerModules(t)
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	p := &realProvider{t: t, issuer: "http://127.0.0.1:" + strconv.Itoa(port)}
	cmd := exec.CommandContext(testkit.Deadline(t), testkit.Tool(t, "node"), script, modules, strconv.Itoa(port))
	cmd.Stderr = &p.log
	p.in = must(cmd.StdinPipe())
	p.out = bufio.NewScanner(must(cmd.StdoutPipe()))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.in.Close()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the provider says: %s", p.log.String())
		}
	})
	return p
}

// renew makes the provider sign with another key.
func (p *realProvider) renew(kid string) {
	p.t.Helper()
	_, _ = io.WriteString(p.in, kid+"\n")
	for p.out.Scan() {
		if p.out.Text() == "ready" {
			return
		}
	}
	p.t.Fatalf("the provider ended: %s", p.log.String())
}

// ask gets an access token for the API.
func (p *realProvider) ask(form url.Values) string {
	p.t.Helper()
	for name, value := range map[string]string{
		"client_id": "sluice", "client_secret": "client-secret", "resource": "api://sluice", "scope": "SMTP.Send",
	} {
		if !form.Has(name) {
			form.Set(name, value)
		}
	}
	response, err := http.PostForm(p.issuer+"/token", form)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error_description"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		p.t.Fatalf("%s: %q, %v", response.Status, answer.Error, err)
	}
	return answer.AccessToken
}

func (p *realProvider) login() string {
	return p.ask(url.Values{"grant_type": {"password"}, "username": {"Alice@Example.com"}, "password": {"canary-password"}})
}

// TestRealProvider hands passwords to node-oidc-provider and checks its tokens, while it
// changes its keys and when it is gone.
func TestRealProvider(t *testing.T) {
	p := startProvider(t, "rsa-1")
	secret := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		if err := os.WriteFile(secret, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("client-secret\n")
	var ahead atomic.Int64
	o := Options{
		Issuer: p.issuer, Audiences: []string{"api://sluice"}, RequiredScopes: []string{"SMTP.Send"},
		ClientID: "sluice", ClientSecretFile: secret, Scope: "openid profile", IdentityClaim: "upn",
		now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	}
	token, password := must(NewToken(o)), must(NewPassword(o))
	defer token.Close()
	defer password.Close()
	good := p.login()
	other := p.ask(url.Values{"grant_type": {"client_credentials"}, "scope": {"other"}})

	t.Run("password", func(t *testing.T) {
		identitytest.Run(t, identitytest.Subject{
			Backend: password, User: "Alice@Example.com", Secret: "canary-password", Identity: "alice@example.com",
			Wrong: "canary-passphrase", Stranger: "eve@example.com", StrangerVerdict: identity.Refused,
		})
	})
	t.Run("token", func(t *testing.T) {
		identitytest.Run(t, identitytest.Subject{
			Backend: token, User: "Alice@Example.com", Secret: good, Identity: "alice@example.com",
			Wrong: good[:len(good)-20] + "AAAAAAAAAAAAAAAAAAAA", Stranger: "eve@example.com", StrangerVerdict: identity.Refused,
		})
	})
	t.Run("other tokens", func(t *testing.T) {
		expect(t, attempt(t.Context(), token, other), identity.Refused, identity.ReasonTokenScope)
		app := p.ask(url.Values{"grant_type": {"client_credentials"}})
		expect(t, attempt(t.Context(), token, app), identity.Refused, identity.ReasonTokenIdentity)
		opaque := p.ask(url.Values{"grant_type": {"password"}, "username": {"Alice@Example.com"},
			"password": {"canary-password"}, "resource": {""}, "scope": {""}})
		expect(t, attempt(t.Context(), token, opaque), identity.Refused, identity.ReasonToken)
	})
	t.Run("our own secret", func(t *testing.T) {
		write("another")
		expect(t, attempt(t.Context(), password, "canary-password"), identity.Unavailable, identity.ReasonMisconfigured)
		write("client-secret")
		expect(t, attempt(t.Context(), password, "canary-password"), identity.Accepted, "")
		o := o
		o.ClientID = "other"
		expect(t, attempt(t.Context(), must(NewPassword(o)), "canary-password"), identity.Unavailable,
			identity.ReasonMisconfigured)
	})
	t.Run("other keys", func(t *testing.T) {
		p.renew("ec-2")
		fresh := p.login()
		ahead.Add(int64(askPause))
		expect(t, attempt(t.Context(), token, fresh), identity.Accepted, "")
		expect(t, attempt(t.Context(), token, good), identity.Refused, identity.ReasonToken)
		expect(t, attempt(t.Context(), password, "canary-password"), identity.Accepted, "")
		good = fresh
	})
	t.Run("gone", func(t *testing.T) {
		p.in.Close()
		for p.out.Scan() { // until its end
		}
		ahead.Add(int64(20 * time.Minute))
		expect(t, attempt(t.Context(), token, good), identity.Accepted, "")
		expect(t, attempt(t.Context(), password, "canary-password"), identity.Unavailable, identity.ReasonUnreachable)
	})
}

// TestMockServer checks tokens of oauth2-mock-server, whose claims are what a test wants.
func TestMockServer(t *testing.T) {
	p := startScript(t, "testdata/mock.mjs")
	token := must(NewToken(Options{
		Issuer: p.issuer, Audiences: []string{"api://sluice"}, RequiredScopes: []string{"SMTP.Send"}, IdentityClaim: "upn",
	}))
	defer token.Close()
	for _, test := range []struct {
		claims  string
		verdict identity.Verdict
		reason  identity.Reason
	}{
		{`{"aud": "api://sluice", "upn": "Alice@Example.com", "scp": "SMTP.Send"}`, identity.Accepted, ""},
		{`{"aud": ["x", "api://sluice"], "upn": "Alice@Example.com", "scp": "other SMTP.Send"}`, identity.Accepted, ""},
		{`{"aud": "api://sluice", "upn": "Alice@Example.com", "scp": "SMTP.Sender"}`, identity.Refused, identity.ReasonTokenScope},
		{`{"aud": "api://other", "upn": "Alice@Example.com", "scp": "SMTP.Send"}`, identity.Refused, identity.ReasonTokenAudience},
		{`{"aud": "api://sluice", "upn": "eve@example.com", "scp": "SMTP.Send"}`, identity.Refused, identity.ReasonTokenIdentity},
		{`{"aud": "api://sluice", "upn": "Alice@Example.com", "scp": "SMTP.Send", "exp": 1}`, identity.Refused, identity.ReasonTokenExpired},
		{`{"aud": "api://sluice", "upn": "Alice@Example.com", "scp": "SMTP.Send", "iss": "https://other.example"}`, identity.Unknown, identity.ReasonTokenIssuer},
	} {
		p.renew(test.claims)
		secret := p.ask(url.Values{"grant_type": {"client_credentials"}, "scope": {"another"}}) // which it puts into the token
		expect(t, attempt(t.Context(), token, secret), test.verdict, test.reason)
	}
}

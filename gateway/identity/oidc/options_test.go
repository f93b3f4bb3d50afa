package oidc

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTokenScope checks what clients are told to ask for, as entra.md and keycloak.md have it.
func TestTokenScope(t *testing.T) {
	for _, test := range []struct {
		issuer, audience string
		required         []string
		want             string
	}{
		{entraV2, "api://sluice/", []string{"SMTP.Send"}, "api://sluice/SMTP.Send"},
		{entraV2, "11111111-2222-3333-4444-555555555555", []string{"a", "b"},
			"api://11111111-2222-3333-4444-555555555555/a api://11111111-2222-3333-4444-555555555555/b"},
		{entraV2, "api://sluice", nil, "api://sluice/.default"},
		{"https://keycloak.example.net/realms/main", "sluice", []string{"smtp", "mail"}, "smtp mail"},
		{"https://keycloak.example.net/realms/main", "sluice", nil, ""},
	} {
		o := Options{Issuer: test.issuer, Audiences: []string{test.audience}, RequiredScopes: test.required}
		if got := o.TokenScope(); got != test.want {
			t.Errorf("%s, %s: %q, want %q", test.issuer, test.audience, got, test.want)
		}
	}
}

// TestCheck has a row for each thing that can be wrong with the options.
func TestCheck(t *testing.T) {
	good := func() Options {
		return Options{Issuer: entraV2, Audiences: []string{api}, ClientID: clientID, Scope: "openid profile", IdentityClaim: "upn"}
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const host = "https://login.microsoftonline.com/"
	for _, test := range []struct {
		name            string
		edit            func(*Options)
		password, token string // the field that is wrong
		text            string
	}{
		{"nothing", func(*Options) {}, "", "", ""},
		{"secret", func(o *Options) { o.ClientSecretFile = secret }, "", "", ""},
		{"Keycloak", func(o *Options) { o.Issuer = "https://id.example.com/realms/company" }, "", "", ""},
		{"a port", func(o *Options) { o.Issuer = "https://id.example.com:8443/" }, "", "", ""},
		{"this machine", func(o *Options) { o.Issuer = "http://127.0.0.1:8080/realms/x" }, "", "", ""},
		{"this machine, IPv6", func(o *Options) { o.Issuer = "http://[::1]:8080" }, "", "", ""},
		{"this machine by name", func(o *Options) { o.Issuer = "http://localhost:8080" }, "", "", ""},
		{"government", func(o *Options) { o.Issuer = strings.Replace(entraV2, ".com", ".us", 1) }, "", "", ""},
		{"no issuer", func(o *Options) { o.Issuer = "" }, "issuer", "issuer", "https"},
		{"no TLS", func(o *Options) { o.Issuer = "http://id.example.com" }, "issuer", "issuer", "https"},
		{"a name like this machine", func(o *Options) { o.Issuer = "http://localhost.example.com" }, "issuer", "issuer", ""},
		{"a file", func(o *Options) { o.Issuer = "file:///etc/passwd" }, "issuer", "issuer", ""},
		{"a query", func(o *Options) { o.Issuer += "?p=x" }, "issuer", "issuer", ""},
		{"a password", func(o *Options) { o.Issuer = "https://a:b@id.example.com" }, "issuer", "issuer", ""},
		{"no URL", func(o *Options) { o.Issuer = "https://%" }, "issuer", "issuer", ""},
		{"common", func(o *Options) { o.Issuer = host + "common/v2.0" }, "issuer", "issuer", "common"},
		{"organizations", func(o *Options) { o.Issuer = host + "organizations/v2.0" }, "issuer", "issuer", "tenant"},
		{"consumers", func(o *Options) { o.Issuer = host + "consumers/v2.0" }, "issuer", "issuer", "tenant"},
		{"Common, otherwise", func(o *Options) { o.Issuer = "https://LOGIN.microsoftonline.com:443/Common/v2.0/" }, "issuer", "issuer", ""},
		{"a domain for the tenant", func(o *Options) { o.Issuer = host + "example.com/v2.0" }, "issuer", "issuer", "ID"},
		{"v1", func(o *Options) { o.Issuer = entraV1 }, "issuer", "issuer", "https://login.microsoftonline.com/TENANT/v2.0"},
		{"a slash too many", func(o *Options) { o.Issuer += "/" }, "issuer", "issuer", ""},
		{"issuers", func(o *Options) { o.Issuers = []string{entraV1, entraV2} }, "", "", ""},
		{"an empty issuer", func(o *Options) { o.Issuers = []string{entraV1, ""} }, "issuers[1]", "issuers[1]", ""},
		{"another tenant", func(o *Options) { o.Issuers = []string{"https://sts.windows.net/other/"} },
			"issuers[0]", "issuers[0]", "tenant"},
		{"no audience", func(o *Options) { o.Audiences = nil }, "", "audiences", ""},
		{"an empty audience", func(o *Options) { o.Audiences = []string{api, ""} }, "", "audiences[1]", ""},
		{"Graph", func(o *Options) { o.Audiences = []string{"https://graph.microsoft.com/"} }, "", "audiences[0]", "Graph"},
		{"no client", func(o *Options) { o.ClientID = "" }, "client_id", "", ""},
		{"no secret file", func(o *Options) { o.ClientSecretFile = secret + "x" }, "client_secret_file", "", "no such file"},
		{"a folder", func(o *Options) { o.ClientSecretFile = filepath.Dir(secret) }, "client_secret_file", "", ""},
		{"a scope of two lines", func(o *Options) { o.Scope = "openid\nx" }, "scope", "", ""},
		{"no claim", func(o *Options) { o.IdentityClaim = "" }, "identity_claim", "identity_claim", "upn"},
		{"two scopes in one", func(o *Options) { o.RequiredScopes = []string{"a b"} }, "", "required_scopes[0]", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := good()
			test.edit(&o)
			for _, side := range []struct {
				field string
				got   []Problem
			}{{test.password, o.CheckPassword()}, {test.token, o.CheckToken()}} {
				var want []string
				if side.field != "" {
					want = []string{side.field}
				}
				var fields []string
				for _, p := range side.got {
					fields = append(fields, p.Field)
					if !strings.Contains(p.String(), test.text) || strings.Contains(p.String(), "s3cret") {
						t.Errorf("%q lacks %q", p, test.text)
					}
				}
				if !slices.Equal(fields, want) {
					t.Errorf("%v, want %v", side.got, want)
				}
			}
			_, err := NewPassword(o)
			if (err == nil) != (test.password == "") {
				t.Error(err)
			}
			if _, err = NewToken(o); (err == nil) != (test.token == "") {
				t.Error(err)
			}
		})
	}
}

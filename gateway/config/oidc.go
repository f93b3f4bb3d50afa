package config

import (
	"slices"
	"strings"

	"sluice/gateway/identity/oidc"
)

// OIDCConfig is the identity provider of the backends oidc-token and oidc-password.
type OIDCConfig struct {
	Issuer           string
	Issuers          []string
	Audiences        []string
	ClientID         string
	ClientSecretFile string
	Scope            string
	IdentityClaim    string
	RequiredScopes   []string
}

func defaultOIDC() OIDCConfig { return OIDCConfig{Scope: "openid profile", IdentityClaim: "upn"} }

// oidcKeys are the keys of the backends oidc-token and oidc-password.
var oidcKeys = []key{
	{"auth.oidc.issuer", func(c *Config) value { return text{&c.Auth.OIDC.Issuer, isPrintable} },
		"the URL of the provider, below which its discovery document is", `"https://login.microsoftonline.com/TENANT/v2.0"`},
	{"auth.oidc.issuers", func(c *Config) value { return words{&c.Auth.OIDC.Issuers} },
		"a list of the issuers whose tokens count; none for auth.oidc.issuer", "[]"},
	{"auth.oidc.audiences", func(c *Config) value { return words{&c.Auth.OIDC.Audiences} },
		"a list of names for whom tokens are: any one of them", `["api://sluice"]`},
	{"auth.oidc.client_id", func(c *Config) value { return text{&c.Auth.OIDC.ClientID, isPrintable} },
		"the application (client) ID that Sluice is registered with", `"11111111-2222-3333-4444-555555555555"`},
	{"auth.oidc.client_secret_file", func(c *Config) value { return text{&c.Auth.OIDC.ClientSecretFile, isPrintable} },
		"the path of a file with the secret of client_id", "/run/secrets/oidc"},
	{"auth.oidc.scope", func(c *Config) value { return text{&c.Auth.OIDC.Scope, isPrintable} },
		"the scopes that are asked for with a password, with blanks between them", `"openid profile"`},
	{"auth.oidc.identity_claim", func(c *Config) value { return text{&c.Auth.OIDC.IdentityClaim, isPrintable} },
		"the claim of a token that says who its user is", "upn"},
	{"auth.oidc.required_scopes", func(c *Config) value { return words{&c.Auth.OIDC.RequiredScopes} },
		"a list of scopes or roles: a token must have all of them", "[SMTP.Send]"},
}

// OIDCOptions returns the options of the identity provider.
func (c *Config) OIDCOptions() oidc.Options {
	o := &c.Auth.OIDC
	return oidc.Options{
		Issuer: o.Issuer, Issuers: o.Issuers, Audiences: o.Audiences, ClientID: o.ClientID, ClientSecretFile: o.ClientSecretFile,
		Scope: o.Scope, IdentityClaim: o.IdentityClaim, RequiredScopes: o.RequiredScopes,
	}
}

// TokenScope returns the scope of tokens that clients are told to ask for.
func (c *Config) TokenScope() string {
	o := c.OIDCOptions()
	return o.TokenScope()
}

// checkOIDC checks the keys of the identity provider.
func checkOIDC(c *Config) (found []*Problem) {
	o := c.OIDCOptions()
	var all []oidc.Problem
	if c.asks(BackendOIDCPassword) {
		all = o.CheckPassword()
	}
	if c.asks(BackendOIDCToken) {
		all = append(all, o.CheckToken()...)
	}
	for _, p := range all {
		name, item, listed := strings.Cut(p.Field, "[")
		path := "auth.oidc." + name
		k := findKey(keys, path)
		problem := c.conflict(path, p.Expected, "set e.g. "+c.Setting(path, k.example))
		if listed {
			problem.Key += "[" + item
		}
		if !slices.ContainsFunc(found, func(q *Problem) bool { return q.Key == problem.Key }) {
			found = append(found, problem)
		}
	}
	return found
}

// Package oidc knows users by an OpenID Connect provider, such as Microsoft Entra ID or
// Keycloak. Of its two backends one hands passwords to the provider (RFC 6749 §4.3), the
// other checks the provider's access tokens (RFC 7519, RFC 9068) by itself.
package oidc

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"sluice/gateway/linefile"
)

// Options are the settings of both backends.
type Options struct {
	Issuer           string   // the provider; its discovery document is below
	Issuers          []string // whose tokens count; none for the issuer, and Entra's v1 form of it
	Audiences        []string // whom tokens are for; any one of them
	ClientID         string   // Sluice's own, to hand passwords over
	ClientSecretFile string   // "" for a client without a secret
	Scope            string   // asked for with a password; with "openid" the ID token is checked
	IdentityClaim    string   // who a token is of
	RequiredScopes   []string // a token must have all of them
	Logger           *slog.Logger

	transport http.RoundTripper // tests; nil for one that is made
	now       func() time.Time  // tests; nil for the clock
}

// Problem is what is wrong with one of the options.
type Problem struct {
	Field    string // as the configuration calls it, such as audiences[1]
	Expected string
}

// String implements fmt.Stringer.
func (p Problem) String() string { return p.Field + ": expected " + p.Expected }

// problems gathers what is wrong.
type problems []Problem

func (p *problems) add(field, expected string, args ...any) {
	*p = append(*p, Problem{field, fmt.Sprintf(expected, args...)})
}

// CheckPassword returns what is wrong with the options of the backend for passwords. It
// reads the secret's file.
func (o *Options) CheckPassword() []Problem {
	p := o.check()
	if o.ClientID == "" {
		p.add("client_id", "the application (client) ID that Sluice is registered with")
	}
	if strings.ContainsFunc(o.Scope, notOfScope) {
		p.add("scope", "words with a space between, such as %q", "openid profile")
	}
	if o.ClientSecretFile != "" {
		if _, err := linefile.ReadSecret(o.ClientSecretFile); err != nil {
			p.add("client_secret_file", "a readable file with the secret in its only line (%v)", err)
		}
	}
	return p
}

// CheckToken returns what is wrong with the options of the backend for tokens.
func (o *Options) CheckToken() []Problem {
	p := o.check()
	if len(o.Audiences) == 0 {
		p.add("audiences", "whom tokens are for, such as the application ID URI of an API of your own")
	}
	for i, audience := range o.Audiences {
		switch field := fmt.Sprintf("audiences[%d]", i); {
		case audience == "":
			p.add(field, "an application ID, or its URI")
		case foreign[strings.TrimSuffix(audience, "/")] != "":
			p.add(field, "an API of your own: tokens for %s can be checked by nobody else",
				foreign[strings.TrimSuffix(audience, "/")])
		}
	}
	for i, scope := range o.RequiredScopes {
		if scope == "" || strings.Contains(scope, " ") || strings.ContainsFunc(scope, notOfScope) {
			p.add(fmt.Sprintf("required_scopes[%d]", i), "one scope or role, such as SMTP.Send")
		}
	}
	return p
}

// check returns what is wrong for both backends.
func (o *Options) check() problems {
	var p problems
	issuer, err := url.Parse(o.Issuer)
	switch {
	case err != nil || issuer.Host == "" || issuer.User != nil || issuer.RawQuery != "" ||
		issuer.ForceQuery || issuer.Fragment != "" || !secure(issuer, true):
		p.add("issuer", "an https URL without a user, a query or a fragment (http for this machine alone)")
	case isEntra(issuer) && tenant(issuer) == "":
		p.add("issuer", "https://%s/TENANT/v2.0 with the directory (tenant) ID of your own in lower case; "+
			"not common, organizations or consumers, which let in everybody's", entraHost(issuer))
	}
	for i, other := range o.Issuers {
		u, err := url.Parse(other)
		if other == "" || err != nil {
			p.add(fmt.Sprintf("issuers[%d]", i), "what tokens have in iss")
		} else if isEntra(u) && (issuer == nil || !strings.Contains(other, "/"+tenant(issuer)+"/") || tenant(issuer) == "") {
			p.add(fmt.Sprintf("issuers[%d]", i), "the tenant of issuer: tokens of another one are refused")
		}
	}
	if o.IdentityClaim == "" {
		p.add("identity_claim", "a claim, such as upn, preferred_username, email or sub")
	}
	return p
}

// TokenScope returns the scope that clients have to ask for, "" for any. Those of Entra begin
// with the API that they are of.
func (o *Options) TokenScope() string {
	issuer, err := url.Parse(o.Issuer)
	if err != nil || !isEntra(issuer) || len(o.Audiences) == 0 {
		return strings.Join(o.RequiredScopes, " ")
	}
	api := strings.TrimSuffix(o.Audiences[0], "/")
	if !strings.Contains(api, "://") {
		api = "api://" + api
	}
	if len(o.RequiredScopes) == 0 {
		return api + "/.default"
	}
	var all []string
	for _, scope := range o.RequiredScopes {
		all = append(all, api+"/"+scope)
	}
	return strings.Join(all, " ")
}

// errOf returns what is wrong as an error, nil for nothing.
func errOf(found []Problem) error {
	errs := make([]error, len(found))
	for i, p := range found {
		errs[i] = errors.New(p.String())
	}
	return errors.Join(errs...)
}

// clone returns the options with what is left out filled in.
func (o *Options) clone() *Options {
	c := *o
	c.Audiences, c.RequiredScopes = slices.Clone(o.Audiences), slices.Clone(o.RequiredScopes)
	c.Issuers = slices.Clone(o.Issuers)
	if len(c.Issuers) == 0 {
		c.Issuers = []string{c.Issuer}
		if u, err := url.Parse(c.Issuer); err == nil && isEntra(u) {
			c.Issuers = append(c.Issuers, entraIssuer[entraHost(u)]+tenant(u)+"/")
		}
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &c
}

// secure reports whether what is sent to u cannot be read on the way: by TLS, or, where
// that is allowed, because it stays on this machine.
func secure(u *url.URL, loopback bool) bool {
	if u.Scheme == "https" {
		return true
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && loopback && (u.Hostname() == "localhost" || err == nil && addr.IsLoopback())
}

// notOfScope reports whether r cannot be in a list of scopes (RFC 6749 §3.3).
func notOfScope(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }

package oidc

import (
	"context"
	"slices"
	"strings"

	"sluice/gateway/identity"
)

// Token is the backend that checks the provider's access tokens.
type Token struct {
	o *Options
	p *provider
}

var _ identity.Backend = (*Token)(nil)

// NewToken returns the backend for tokens. The provider is not asked before the first
// token comes.
func NewToken(o Options) (*Token, error) {
	if err := errOf(o.CheckToken()); err != nil {
		return nil, err
	}
	c := o.clone()
	return &Token{o: c, p: newProvider(c, true)}, nil
}

// Name implements identity.Backend.
func (b *Token) Name() string { return "oidc-token" }

// Tokens implements identity.Backend.
func (b *Token) Tokens() bool { return true }

// Close implements identity.Backend.
func (b *Token) Close() error { return b.p.close() }

// Authenticate implements identity.Backend. What a token says is checked before its
// signature: this costs less, asks for no key, and finds out about tokens whose signature
// only others can check. All must hold.
func (b *Token) Authenticate(ctx context.Context, a *identity.Attempt) identity.Answer {
	if err := ctx.Err(); err != nil {
		return *broken(err)
	}
	t, no := parse(a.Secret, identity.MaxSecret)
	if no != nil {
		return *no
	}
	issuer := t.claims.text("iss")
	if !slices.Contains(b.o.Issuers, issuer) {
		no = refuse(identity.ReasonTokenIssuer, "the token is of another issuer than %q", b.o.Issuers)
		no.Verdict = identity.Unknown
		return *no
	}
	for _, check := range []func() *identity.Answer{
		func() *identity.Answer { return b.p.checkTenant(t.claims) },
		func() *identity.Answer { return b.o.checkAudience(t.claims) },
		func() *identity.Answer { return b.p.checkKind(t) },
		func() *identity.Answer { return t.claims.checkTime(b.o.now()) },
		func() *identity.Answer { return b.o.checkScopes(t.claims) },
		func() *identity.Answer { return b.checkUser(t.claims, a.User) },
		func() *identity.Answer { return b.p.verify(ctx, t) },
	} {
		if no := check(); no != nil {
			return *no
		}
	}
	return accepted(b.p.identity(t.claims, b.o.IdentityClaim), issuer)
}

// checkTenant returns why a token of Entra is not of our tenant, nil if it is.
func (p *provider) checkTenant(c claims) *identity.Answer {
	if p.tenant != "" && !strings.EqualFold(c.text("tid"), p.tenant) {
		return refuse(identity.ReasonTokenIssuer, "the token is of another tenant (tid)")
	}
	return nil
}

// checkUser returns why a token is not that of the user named, nil if it is.
func (b *Token) checkUser(c claims, user string) *identity.Answer {
	name := b.p.identity(c, b.o.IdentityClaim)
	switch {
	case name == "":
		return refuse(identity.ReasonTokenIdentity, "the token has no valid claim %q, or it is not verified",
			b.o.IdentityClaim)
	case identity.Fold(name) != identity.Fold(user):
		return refuse(identity.ReasonTokenIdentity, "the claim %q of the token is not the user that the client named",
			b.o.IdentityClaim)
	}
	return nil
}
